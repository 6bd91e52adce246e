"""The mutants of a file: one small change each, with the verdicts on those that no test kills.

A verdict is found by the changed line's text, before and after, so that it survives changes elsewhere in the file.
"""

import ast
import json
import random
import re
import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Any

from tests.mutation.scope import ROOT
from tests.mutation.sql_operators import changes_of

FOLDER = Path(__file__).parent
PYTHON = ROOT / ".tools" / "mutation" / "bin" / "python"
# A file for each group of modules. `before` and `after` are the changed lines, without indentation.
VERDICTS = FOLDER / "verdicts"
_BATCH = 250
# The text before the number of a pause: `CONNECT_TIMEOUT_S = ` or `read_timeout_s=`.
_PAUSE = re.compile(r"_[mM]?[sS] ?= ?$|^[A-Z_, ]+_M?S = ")
# The text before the moment that a clock is compared with: whether the moment itself is included, nobody notices.
_MOMENT = re.compile(r"(?:\bmonotonic\(\)(?: - [\w.]+)?|\b(?:now|left|age)_s) [<>]=? ?$")
# The text before a value that no request shows: whether a model may be changed, when its validators are built, and how many rows more
# than a page has are read, to know whether another page follows.
_UNSEEN = re.compile(r"\b(?:frozen|defer_build)=$|\bpage\.limit \+ $")
# The database's clock, after a stored time: no user can make both equal to the microsecond.
_NOW = re.compile(r"=? *func\.(?:now|clock_timestamp)\(\)")
_BOUNDS = tuple(f"ReplaceComparisonOperator_{change}" for change in ("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt"))


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
    """Return the lines from the first to the last that differ, joined."""
    old, new = before.splitlines(), after.splitlines()
    head = _equal(old, new)
    tail = _equal(old[head:][::-1], new[head:][::-1])
    return tuple(" ".join(line.strip() for line in lines[head : len(lines) - tail]) for lines in (old, new))  # type: ignore[return-value]


def _equal(old: Sequence[str], new: Sequence[str]) -> int:
    """Return how many of the first lines, or letters, are equal."""
    return next((number for number, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), min(len(old), len(new)))


def draw(files: Iterable[str], *, count: int | None = None, seed: int = 0) -> list[Mutant]:
    """Return `count` mutants of the files, given relative to the root, drawn at random; all of them without `count`.

    The same seed draws the same mutants of the same tree.
    """
    files = list(files)
    places: list[dict[str, Any]] = _python_places(files)
    for file in files:
        places += [{"file": file, "operator": one.operator, "line": one.line, "source": one.source} for one in changes_of(ROOT / file)]
    random.Random(seed).shuffle(places)
    found: dict[tuple[str, str, str], Mutant] = {}
    for batch in batched(places, _BATCH, strict=False):
        for mutant in _mutants_at(batch):
            found.setdefault(mutant.key, mutant)
            if len(found) == count:
                return list(found.values())
    return list(found.values())


def _mutants_at(places: Iterable[dict[str, Any]]) -> Iterator[Mutant]:
    """Yield the mutants at some places, in their order, without those that change no behaviour."""
    places = list(places)
    pending = [json.dumps(place) for place in places if "source" not in place]
    changed = iter(_operators("sources", stdin="\n".join(pending)) if pending else [])
    for place in places:
        source = place["source"] if "source" in place else next(changed)["source"]
        if is_python(source):
            mutant = Mutant.of(place["file"], place["operator"], place["line"], source)
            if is_behaviour(mutant):
                yield mutant


def _python_places(files: list[str]) -> list[dict[str, Any]]:
    return list(_operators("places", *files))


def _operators(*arguments: str, stdin: str = "") -> Iterator[dict[str, Any]]:
    command = [str(PYTHON), str(FOLDER / "python_operators.py"), *arguments]
    output = subprocess.run(command, input=stdin, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return map(json.loads, output.splitlines())


def is_behaviour(mutant: Mutant) -> bool:
    """Return whether a change may be noticed.

    Not noticed are those of a signature, whose `*` is no product, of `frozen`, of a pause by a second, of a clock by an instant, and of
    the imports that only the type checker needs.
    """
    head = mutant.before[: _equal(mutant.before, mutant.after)]
    if mutant.before.startswith(("*,", "TYPE_CHECKING"), len(head)):  # the star is in a signature of several lines
        return False
    if mutant.operator in _BOUNDS and _NOW.match(mutant.before, len(head)):
        return False
    is_pause = mutant.operator == "NumberReplacer" and _PAUSE.search(head)
    is_unseen = is_pause or _UNSEEN.search(head) or _MOMENT.search(head)
    return bool(mutant.before) and not is_unseen and not mutant.before.startswith(("def ", "async def ", "@dataclass"))


def is_python(source: str) -> bool:
    """Return whether the source can be parsed. Cosmic Ray's parser does not know `match`, and breaks a few of its lines."""
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return bool(source)


def verdicts() -> dict[tuple[str, str, str], str]:
    """Return the reason why each mutant with a verdict changes nothing that a user could notice."""
    written = (one for path in VERDICTS.rglob("*.toml") for one in tomllib.loads(path.read_text())["equivalent"])
    return {(one["file"], one["before"], one["after"]): one["reason"] for one in written}
