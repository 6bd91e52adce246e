"""Workers as processes, each in a copy of the tree of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutants.tree_copy import Copy, MutantError
from tests.mutation.worker import MutantJob, Outcome


class WorkerProcess:
    """A worker in a copy of the tree of its own."""

    def __init__(self, folder: Path) -> None:
        self.copy = Copy(folder)
        self.copy.fill()
        command = [sys.executable, "-m", "tests.mutation.worker"]
        # Unlike the copy's own runs of pytest, the worker writes bytecode: it gives each changed file a time of its own.
        environment = {name: value for name, value in self.copy.environment.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._process = subprocess.Popen(
            command, cwd=self.copy.root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def wait_until_ready(self) -> None:
        """Wait for the worker's database and packages. Raises MutantError if it ends instead."""
        if self._process.stdout.readline() != "ready\n":
            raise MutantError("the worker did not start: see its messages above")

    def run(self, job: MutantJob) -> Outcome:
        """Run the tests of a job. Raises MutantError if the worker has ended."""
        self._process.stdin.write(f"{json.dumps(asdict(job))}\n")
        self._process.stdin.flush()
        if not (answer := self._process.stdout.readline()):
            raise MutantError("the worker ended: see its messages above")
        return Outcome(**json.loads(answer))

    def stop(self) -> None:
        """Let the worker end, and wait for it."""
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def running_workers(count: int) -> Iterator[list[WorkerProcess]]:
    """Start workers, and stop them at the end of the block."""
    with TemporaryDirectory(prefix="parley-mutation-") as folder, ExitStack() as stack:
        workers = []
        for number in range(count):
            workers.append(worker := WorkerProcess(Path(folder, str(number))))
            stack.callback(worker.stop)
        yield workers
