"""Apply each seeded defect to a copy of the tree and check that the tests it names fail: `make mutants`.

A patch lives at `<area>/<sentence>.patch`. It begins with `# <what the defect does>`, followed by one
`# kills: tests/…::test_…` line for each test that must fail. A test that cannot be collected, or that fails
because the patched code is not valid Python or SQL, does not count as a kill.

The tests run in processes that `tests.mutation.worker` forks, because a run of pytest costs some 10 s for imports and migrations
alone. A defect of a migration, and one whose tests a worker cannot run, gets a run of pytest.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from tests.mutants.tree_copy import ROOT, Copy, MutantError, Verdicts, run_command
from tests.mutation.worker import MutantJob, Outcome
from tests.mutation.worker_process import WorkerProcess, running_workers

PATCHES = Path(__file__).parent
BROKEN_CODE = ("ImportError", "ModuleNotFoundError", "NameError", "SyntaxError", "IndentationError", "fixture ")
BROKEN_SQL = ("psycopg.errors.SyntaxError", "psycopg.errors.Undefined")
_MIGRATIONS = "layers/shared/parley/db/migrations/"
_KILLS = "kills:"
# Guards against hangs only: a worker ends tests that take a few times as long.
_SECONDS = 60.0
_BATCH = 20


@dataclass(frozen=True)
class Mutant:
    """A seeded defect, the files that it changes, and the tests that must fail because of it."""

    patch: Path
    title: str
    files: tuple[str, ...]
    kills: tuple[str, ...]

    @classmethod
    def read(cls, patch: Path) -> "Mutant":
        """Parse a patch's header. Raises MutantError if it has no title or names no test that must fail."""
        lines = patch.read_text().splitlines()
        header = [line[2:].strip() for line in lines if line.startswith("# ")]
        files = tuple(line.removeprefix("+++ b/").strip() for line in lines if line.startswith("+++ b/"))
        kills = tuple(line.removeprefix(_KILLS).strip() for line in header if line.startswith(_KILLS))
        titles = [line for line in header if not line.startswith(_KILLS)]
        if not titles or not kills:
            raise MutantError(f"{patch.name} must begin with `# what the defect does` and `# kills: test`")
        return cls(patch, titles[0], files, kills)

    @property
    def path(self) -> str:
        """The patch's path below `tests/mutants`, without its suffix: `login/one_time_code_works_twice`."""
        return self.patch.relative_to(PATCHES).with_suffix("").as_posix()

    @property
    def is_in_migration(self) -> bool:
        """Whether the defect is in a migration, which a worker's database has behind it."""
        return any(file.startswith(_MIGRATIONS) for file in self.files)

    def sources(self, root: Path = ROOT) -> dict[str, str]:
        """Return the changed files with the defect, by path. The tree at `root` stays as it is."""
        with TemporaryDirectory() as folder:
            for file in self.files:
                Path(folder, file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / file, Path(folder, file))
            run_command("git", "apply", str(self.patch), cwd=folder)
            return {file: Path(folder, file).read_text() for file in self.files}


def judge(mutant: Mutant, verdicts: Verdicts) -> str:
    """Return why a mutant does not count as killed, or an empty string if it is killed."""
    if verdicts.errors:
        return f"error, not failure: {next(iter(verdicts.errors.items()))}"
    if broken := [(test_id, why) for test_id, why in verdicts.failed.items() if is_broken(why)]:
        return f"the patch breaks the code itself: {broken[0]}"
    passed = [name for name in mutant.kills if not any(_is_case_of(test_id, name) for test_id in verdicts.failed)]
    return f"not noticed by {', '.join(passed)}" if passed else ""


def is_broken(message: str) -> bool:
    """Return whether a test failed because the code is not valid Python or SQL."""
    return message.startswith(BROKEN_CODE) or any(error in message for error in BROKEN_SQL)


def verdicts_of(outcome: Outcome) -> Verdicts:
    """Return the results of a worker's tests. A process that a signal has ended, and tests that do not exist, are errors."""
    errors = {test_id: outcome.messages[test_id] for test_id in outcome.broken}
    if outcome.signal or outcome.exit_code not in (0, 1):
        errors["the worker"] = f"{outcome.signal or outcome.exit_code}: {outcome.output}"
    failed = {test_id: message for test_id, message in outcome.messages.items() if test_id not in errors}
    return Verdicts({*outcome.passed, *outcome.failed}, failed, errors)


def _is_case_of(test_id: str, name: str) -> bool:
    return test_id == name or test_id.startswith(f"{name}[")


def mutants(wanted: Iterable[str] = ()) -> list[Mutant]:
    """Return the mutants whose path contains any of `wanted`, sorted by path. Without `wanted`, return all mutants."""
    found = [Mutant.read(patch) for patch in sorted(PATCHES.rglob("*.patch"))]
    parts = tuple(wanted) or ("",)
    return [mutant for mutant in found if any(part in mutant.path for part in parts)]


class Runner:
    """Tests mutants in workers, several at a time."""

    def __init__(self, workers: list[WorkerProcess]) -> None:
        self._unfit: set[str] = set()
        self._free: SimpleQueue[WorkerProcess] = SimpleQueue()
        for worker in workers:
            worker.wait_until_ready()
            self._free.put(worker)

    def require_green(self, names: Iterable[str], pool: Executor) -> int:
        """Run the tests without any patch, and return how many ran. Raises MutantError if one fails."""
        batches = list(batched(sorted(names), _BATCH, strict=False))
        ran, unfit = 0, set[str]()
        for number, (passed, not_passed) in enumerate(pool.map(self._sorted_out, batches), 1):
            ran += passed
            unfit |= not_passed
            print(f"{ran} tests pass before, {number} of {len(batches)} parts", flush=True)
        if unfit:
            with self._worker() as worker:
                before = worker.copy.test(sorted(unfit))
            ran += len(before.ran)
            if failing := sorted({*before.failed, *before.errors}):
                raise MutantError(f"these tests fail without any patch: {failing}")
        self._unfit = unfit
        return ran

    def _sorted_out(self, batch: Sequence[str]) -> tuple[int, set[str]]:
        """Run tests in a worker. Return how many passed, and the names of which a test failed or none passed."""
        with self._worker() as worker:
            verdicts = verdicts_of(worker.run(MutantJob(list(batch), _SECONDS * _BATCH)))
        passed = verdicts.ran - verdicts.failed.keys() - verdicts.errors.keys()
        red = {name for name in batch if any(_is_case_of(test_id, name) for test_id in verdicts.ran - passed)}
        return len(passed), red | {name for name in batch if not any(_is_case_of(test_id, name) for test_id in passed)}

    def reason(self, mutant: Mutant) -> str:
        """Return why a mutant does not count as killed, or an empty string if it is killed."""
        with self._worker() as worker:
            if mutant.is_in_migration or self._unfit.intersection(mutant.kills):
                with patched(worker.copy, mutant):
                    return judge(mutant, worker.copy.test(mutant.kills))
            return judge(mutant, verdicts_of(worker.run(MutantJob(list(mutant.kills), _SECONDS, mutant.sources(worker.copy.root)))))

    @contextmanager
    def _worker(self) -> Iterator[WorkerProcess]:
        worker = self._free.get()
        try:
            yield worker
        finally:
            self._free.put(worker)


@contextmanager
def patched(copy: Copy, mutant: Mutant) -> Iterator[None]:
    """Apply a patch to the copy for the duration of the block."""
    run_command("git", "apply", str(mutant.patch), cwd=copy.root)
    try:
        yield
    finally:
        run_command("git", "apply", "--reverse", str(mutant.patch), cwd=copy.root)


def main(wanted: list[str], *, jobs: int) -> int:
    """Print a table with one line per mutant; `jobs` run at a time. Return 1 if a mutant survives or none is selected."""
    chosen, survivors = mutants(wanted), 0
    with running_workers(jobs) as workers, ThreadPoolExecutor(jobs) as pool:
        runner = Runner(workers)
        ran = runner.require_green({name for mutant in chosen for name in mutant.kills}, pool)
        print(f"{ran} tests pass before; {len(chosen)} mutants", flush=True)
        for mutant, reason in zip(chosen, pool.map(runner.reason, chosen), strict=True):
            survivors += bool(reason)
            print(f"{'LIVES ' if reason else 'killed'}  {mutant.path:70} {reason or mutant.title}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} killed")
    return 1 if survivors or not chosen else 0


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
