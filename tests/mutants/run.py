"""Breaks the code on purpose, patch by patch in a copy of the tree, and demands that the named tests notice: `make mutants`.

A patch begins with comment lines: `# J2: what is broken`, and for each test that must fail `# kills: tests/…::test_…`.
A test that cannot be collected, or that fails since the patch made no sense, has noticed nothing.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
PACKAGES = ("parley", "functions", "local", "cli", "tests")
NO_VERDICT = ("ImportError", "ModuleNotFoundError", "NameError", "SyntaxError", "IndentationError", "fixture ")
TIMEOUT_S = 600


class Unusable(Exception):
    """Nothing can be said of a patch; the text is for who wrote it."""


@dataclass(frozen=True)
class Mutant:
    """A seeded defect and the tests that must fail by it."""

    patch: Path
    id: str
    title: str
    kills: tuple[str, ...]

    @classmethod
    def read(cls, patch: Path) -> "Mutant":
        """Read a patch's comment lines."""
        lines = [line[2:].strip() for line in patch.read_text().splitlines() if line.startswith("# ")]
        kills = tuple(line.removeprefix("kills:").strip() for line in lines if line.startswith("kills:"))
        (first, *_) = [line for line in lines if not line.startswith("kills:")] or [""]
        id, found, title = first.partition(":")
        if not found or not kills:
            raise Unusable(f"{patch.name} does not begin with `# ID: what` and `# kills: test`")
        return cls(patch, id, title.strip(), kills)


@dataclass(frozen=True)
class Verdicts:
    """How tests ended: the ids that ran, and those that failed, with why."""

    ran: set[str]
    failed: dict[str, str]
    errors: dict[str, str]


class Copy:
    """A copy of the tree, in which tests run on the copy's own code."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        self._report = folder / "report.xml"
        self._temporary = folder / "pytest"
        path = os.pathsep.join(map(str, (self.root, self.root / "layers" / "shared")))
        # Without byte code: an edit within a second that keeps a file's size would go unseen.
        self._environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}

    def fill(self) -> None:
        """Copy what git knows or would add. Raises Unusable if Python would still import from elsewhere."""
        listed = _run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        code = f"import {', '.join(PACKAGES)}; print(*({', '.join(PACKAGES)}), sep='\\n')"
        found = _run(sys.executable, "-c", code, cwd=self.root, env=self._environment).stdout.splitlines()
        if strangers := [line for line in found if str(self.root) not in line]:
            raise Unusable(f"these would not come from the copy: {strangers}")

    @contextmanager
    def broken_by(self, mutant: Mutant) -> Iterator[None]:
        """Apply a patch, and take it back in the end."""
        _run("git", "apply", str(mutant.patch), cwd=self.root)
        try:
            yield
        finally:
            _run("git", "apply", "--reverse", str(mutant.patch), cwd=self.root)

    def test(self, names: Iterable[str]) -> Verdicts:
        """Run tests. Raises Unusable if there are none by one of these names."""
        self._report.unlink(missing_ok=True)
        options = [
            "-q",
            "-p",
            "no:cacheprovider",
            f"--junitxml={self._report}",
            f"--basetemp={self._temporary}",
            "-o",
            "junit_family=xunit1",
        ]
        command = [sys.executable, "-m", "pytest", *options, *names]
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode not in (0, 1) or not self._report.exists():
            raise Unusable(f"pytest ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
        return _verdicts(self._report)


def _verdicts(report: Path) -> Verdicts:
    ran, failed, errors = set(), {}, {}
    for case in ElementTree.parse(report).iter("testcase"):
        id = f"{case.get('file')}::{case.get('name')}"
        ran.add(id)
        for element, found in (("failure", failed), ("error", errors)):
            if (one := case.find(element)) is not None:
                found[id] = one.get("message") or ""
    return Verdicts(ran, failed, errors)


def judge(mutant: Mutant, verdicts: Verdicts) -> str:
    """Return why a mutant is not killed, or an empty text."""
    if verdicts.errors:
        return f"error, not failure: {next(iter(verdicts.errors.items()))}"
    if senseless := [(id, why) for id, why in verdicts.failed.items() if why.startswith(NO_VERDICT)]:
        return f"the patch makes no sense: {senseless[0]}"
    survived = [name for name in mutant.kills if not any(_is_of(id, name) for id in verdicts.failed)]
    return f"survives {', '.join(survived)}" if survived else ""


def _is_of(id: str, name: str) -> bool:
    return id == name or id.startswith(f"{name}[")


def _run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise Unusable(f"{' '.join(command[:4])} …: {done.stderr.strip()}")
    return done


def mutants(wanted: Iterable[str]) -> list[Mutant]:
    """Read the patches whose id or name begins with one of `wanted`; all, if there are none."""
    found = [Mutant.read(patch) for patch in sorted(Path(__file__).parent.rglob("*.patch"))]
    prefixes = tuple(wanted) or ("",)
    return [mutant for mutant in found if mutant.id.startswith(prefixes) or mutant.patch.stem.startswith(prefixes)]


def main(wanted: list[str]) -> int:
    """Print a table; return 1 if a mutant lives."""
    chosen, living = mutants(wanted), 0
    with TemporaryDirectory(prefix="parley-mutants-") as folder:
        copy = Copy(Path(folder))
        copy.fill()
        whole = copy.test(sorted({name for mutant in chosen for name in mutant.kills}))
        if whole.failed or whole.errors:
            raise Unusable(f"these are not green to begin with: {sorted({*whole.failed, *whole.errors})}")
        print(f"{len(whole.ran)} tests are green before; {len(chosen)} mutants")
        for mutant in chosen:
            with copy.broken_by(mutant):
                reason = judge(mutant, copy.test(mutant.kills))
            living += bool(reason)
            print(f"{'LIVES ' if reason else 'killed'}  {mutant.id:5} {mutant.patch.stem:40} {reason or mutant.title}", flush=True)
    print(f"{len(chosen) - living} of {len(chosen)} killed")
    return 1 if living or not chosen else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Unusable as error:
        sys.exit(str(error))
