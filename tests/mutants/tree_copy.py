"""A copy of the working tree in which code can be broken, and the results of its tests."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from local.sam_build.embedding_model import MODEL_FOLDER

ROOT = Path(__file__).parents[2]
PACKAGES = ("parley", "functions", "local", "cli", "tests")
# Only guards against hangs: the slowest single run takes about a minute.
TIMEOUT_S = 1800


class MutantError(Exception):
    """A mutant cannot be judged because of a problem with its patch or the tree. The message is for the patch's author."""


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
        listed = run_command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        if MODEL_FOLDER.is_dir():  # built, not listed by git
            shutil.copytree(MODEL_FOLDER, self.root / MODEL_FOLDER.relative_to(ROOT))
        code = f"import {', '.join(PACKAGES)}; print(*({', '.join(PACKAGES)}), sep='\\n')"
        imported = run_command(sys.executable, "-c", code, cwd=self.root, env=self.environment).stdout.splitlines()
        if outside := [line for line in imported if str(self.root) not in line]:
            raise MutantError(f"these packages are not imported from the copy: {outside}")

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


def run_command(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command, and return the ended process with its output. Raises MutantError if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise MutantError(f"{' '.join(command[:4])} …: {done.stderr.strip()}")
    return done
