"""The mutants of a file: one small change each, with the verdicts on those that no test kills.

A verdict is found by the changed line's text, before and after, so that it survives changes elsewhere in the file.
"""

import ast
import json
import subprocess
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from tests.mutation.sql_operators import changes_of

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent
PYTHON = ROOT / ".tools" / "mutation" / "bin" / "python"
VERDICTS = FOLDER / "verdicts.toml"


@dataclass(frozen=True)
class Mutant:
    """A file with one change. `before` and `after` are the changed lines without indentation."""

    file: str
    operator: str
    line: int
    source: str
    before: str
    after: str

    @classmethod
    def of(cls, file: str, operator: str, line: int, source: str) -> "Mutant":
        """Return the mutant of a file of the tree whose changed source is `source`."""
        before, after = changed_lines((ROOT / file).read_text(), source)
        return cls(file, operator, line, source, before, after)

    @property
    def key(self) -> tuple[str, str, str]:
        """What a verdict names."""
        return self.file, self.before, self.after

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.operator}\n    - {self.before}\n    + {self.after}"


def changed_lines(before: str, after: str) -> tuple[str, str]:
    """Return the lines that differ, joined."""
    old, new = before.splitlines(), after.splitlines()
    changes = [change for change in SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if change[0] != "equal"]
    (first, last) = (changes[0], changes[-1]) if changes else (("", 0, 0, 0, 0),) * 2
    return tuple(" ".join(line.strip() for line in lines) for lines in (old[first[1] : last[2]], new[first[3] : last[4]]))  # type: ignore[return-value]


def mutants_of(files: Iterable[str]) -> list[Mutant]:
    """Return all mutants of the files, given relative to the root. Files with SQL have those of the operators for SQL too."""
    found = []
    for file in files:
        command = [str(PYTHON), str(FOLDER / "python_operators.py"), str(ROOT / file)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for line in output.splitlines():
            one = json.loads(line)
            if is_python(one["source"]):
                found.append(Mutant.of(file, one["operator"], one["line"], one["source"]))
        found += [Mutant.of(file, change.operator, change.line, change.source) for change in changes_of(ROOT / file)]
    return list({mutant.key: mutant for mutant in found if is_behaviour(mutant.before)}.values())


def is_behaviour(line: str) -> bool:
    """Return whether a change of the line changes what the code does: not for a signature, whose `*` is no product, nor for `frozen`."""
    return not line.startswith(("def ", "async def ", "@dataclass"))


def is_python(source: str) -> bool:
    """Return whether the source can be parsed. Cosmic Ray's parser does not know `match`, and breaks a few of its lines."""
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def verdicts() -> dict[tuple[str, str, str], str]:
    """Return the reason why each mutant with a verdict changes nothing that a user could notice."""
    written = tomllib.loads(VERDICTS.read_text()).get("equivalent", [])
    return {(one["file"], one["before"], one["after"]): one["reason"] for one in written}
