"""Apply each seeded defect to a copy of the tree and check that the tests it names fail: `make mutants`.

A patch lives at `<area>/<sentence>.patch`. It begins with `# <what the defect does>`, followed by one
`# kills: tests/…::test_…` line for each test that must fail. A test that cannot be collected, or that fails
because the patched code is not valid Python, does not count as a kill.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from local.sam_build.embedding_model import MODEL_FOLDER

ROOT = Path(__file__).parents[2]
PATCHES = Path(__file__).parent
PACKAGES = ("parley", "functions", "local", "cli", "tests")
BROKEN_CODE = ("ImportError", "ModuleNotFoundError", "NameError", "SyntaxError", "IndentationError", "fixture ")
# Only guards against hangs: the slowest single run takes about a minute.
TIMEOUT_S = 1800
_KILLS = "kills:"


class MutantError(Exception):
    """A mutant cannot be judged because of a problem with its patch or the tree. The message is for the patch's author."""


@dataclass(frozen=True)
class Mutant:
    """A seeded defect and the tests that must fail because of it."""

    patch: Path
    title: str
    kills: tuple[str, ...]

    @classmethod
    def read(cls, patch: Path) -> "Mutant":
        """Parse a patch's header. Raises MutantError if it has no title or names no test that must fail."""
        header = [line[2:].strip() for line in patch.read_text().splitlines() if line.startswith("# ")]
        kills = tuple(line.removeprefix(_KILLS).strip() for line in header if line.startswith(_KILLS))
        titles = [line for line in header if not line.startswith(_KILLS)]
        if not titles or not kills:
            raise MutantError(f"{patch.name} must begin with `# what the defect does` and `# kills: test`")
        return cls(patch, titles[0], kills)

    @property
    def path(self) -> str:
        """The patch's path below `tests/mutants`, without its suffix: `login/one_time_code_works_twice`."""
        return self.patch.relative_to(PATCHES).with_suffix("").as_posix()


@dataclass(frozen=True)
class Verdicts:
    """The result of one pytest run: ids of the tests that ran, and messages of failures and errors by test id."""

    ran: set[str]
    failed: dict[str, str]
    errors: dict[str, str]


class Copy:
    """A copy of the working tree whose tests import the copy's own code."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.root = folder / "tree"
        self._report = folder / "report.xml"
        self._temporary = folder / "pytest"
        path = os.pathsep.join(map(str, (self.root, self.root / "layers" / "shared")))
        # No bytecode: Python would not notice an edit within the same second that keeps the file's size.
        self.environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}

    def fill(self) -> None:
        """Copy all files that git tracks or would add. Raises MutantError if Python still imports the original tree."""
        listed = _run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        if MODEL_FOLDER.is_dir():  # built, not listed by git
            shutil.copytree(MODEL_FOLDER, self.root / MODEL_FOLDER.relative_to(ROOT))
        code = f"import {', '.join(PACKAGES)}; print(*({', '.join(PACKAGES)}), sep='\\n')"
        imported = _run(sys.executable, "-c", code, cwd=self.root, env=self.environment).stdout.splitlines()
        if outside := [line for line in imported if str(self.root) not in line]:
            raise MutantError(f"these packages are not imported from the copy: {outside}")

    @contextmanager
    def patched(self, mutant: Mutant) -> Iterator[None]:
        """Apply a patch for the duration of the block."""
        _run("git", "apply", str(mutant.patch), cwd=self.root)
        try:
            yield
        finally:
            _run("git", "apply", "--reverse", str(mutant.patch), cwd=self.root)

    def test(self, names: Iterable[str]) -> Verdicts:
        """Run the named tests. Raises MutantError if pytest cannot run them, for example because a test does not exist."""
        self._report.unlink(missing_ok=True)
        done = self.pytest(names, timeout_s=TIMEOUT_S)
        if done.returncode not in (0, 1) or not self._report.exists():
            raise MutantError(f"pytest exited with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
        return _verdicts(self._report)

    def pytest(self, names: Iterable[str], *options: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run pytest on the named tests or files, and return the ended process. Raises subprocess.TimeoutExpired."""
        return subprocess.run(
            [sys.executable, "-m", "pytest", *self._pytest_options(), *options, *names],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def _pytest_options(self) -> list[str]:
        files = [f"--junitxml={self._report}", f"--basetemp={self._temporary}"]
        return ["-q", "-p", "no:cacheprovider", *files, "-o", "junit_family=xunit1"]


def _verdicts(report: Path) -> Verdicts:
    verdicts = Verdicts(set(), {}, {})
    for case in ElementTree.parse(report).iter("testcase"):
        test_id = f"{case.get('file')}::{case.get('name')}"
        verdicts.ran.add(test_id)
        for tag, messages in (("failure", verdicts.failed), ("error", verdicts.errors)):
            if (element := case.find(tag)) is not None:
                messages[test_id] = element.get("message") or ""
    return verdicts


def judge(mutant: Mutant, verdicts: Verdicts) -> str:
    """Return why a mutant does not count as killed, or an empty string if it is killed."""
    if verdicts.errors:
        return f"error, not failure: {next(iter(verdicts.errors.items()))}"
    if broken := [(test_id, why) for test_id, why in verdicts.failed.items() if why.startswith(BROKEN_CODE)]:
        return f"the patch breaks the code itself: {broken[0]}"
    passed = [name for name in mutant.kills if not any(_is_case_of(test_id, name) for test_id in verdicts.failed)]
    return f"not noticed by {', '.join(passed)}" if passed else ""


def _is_case_of(test_id: str, name: str) -> bool:
    return test_id == name or test_id.startswith(f"{name}[")


def _run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise MutantError(f"{' '.join(command[:4])} …: {done.stderr.strip()}")
    return done


def mutants(wanted: Iterable[str] = ()) -> list[Mutant]:
    """Return the mutants whose path contains any of `wanted`, sorted by path. Without `wanted`, return all mutants."""
    found = [Mutant.read(patch) for patch in sorted(PATCHES.rglob("*.patch"))]
    parts = tuple(wanted) or ("",)
    return [mutant for mutant in found if any(part in mutant.path for part in parts)]


def main(wanted: list[str], *, jobs: int) -> int:
    """Print a table with one line per mutant; `jobs` run at a time. Return 1 if a mutant survives or none is selected."""
    chosen = mutants(wanted)
    copies: SimpleQueue[Copy] = SimpleQueue()

    def reason_of(mutant: Mutant) -> str:
        copy = copies.get()
        try:
            with copy.patched(mutant):
                return judge(mutant, copy.test(mutant.kills))
        finally:
            copies.put(copy)

    survivors = 0
    with TemporaryDirectory(prefix="parley-mutants-") as folder, ThreadPoolExecutor(jobs) as pool:
        for number in range(jobs):
            copies.put(copy := Copy(Path(folder, str(number))))
            copy.fill()
        if chosen:
            _require_green(copy, chosen)
        for mutant, reason in zip(chosen, pool.map(reason_of, chosen), strict=True):
            survivors += bool(reason)
            print(f"{'LIVES ' if reason else 'killed'}  {mutant.path:70} {reason or mutant.title}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} killed")
    return 1 if survivors or not chosen else 0


def _require_green(copy: Copy, chosen: list[Mutant]) -> None:
    before = copy.test(sorted({name for mutant in chosen for name in mutant.kills}))
    if red := sorted({*before.failed, *before.errors}):
        raise MutantError(f"these tests fail without any patch: {red}")
    print(f"{len(before.ran)} tests pass before; {len(chosen)} mutants", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.run", description="Check that tests fail for each seeded defect.")
    parser.add_argument("wanted", nargs="*", help="parts of the defects' paths: tokens/ login/one_time; all defects without any")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="defects to run at a time (default: one per processor)")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = _arguments()
    try:
        sys.exit(main(arguments.wanted, jobs=max(1, arguments.jobs)))
    except MutantError as error:
        sys.exit(str(error))
