"""Runs the tests of one mutant after the other in a copy of the tree: `python -m tests.mutation.worker`, one JSON line for each job.

This process runs PostgreSQL with a migrated template of the database, and has imported all packages, but no module of the product. For
each job it forks: the child imports the changed code as any other process would, runs the tests until the first fails, and ends.
"""

import gc
import importlib
import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import boto3
import pytest
from botocore.loaders import JSONFileLoader

from local.services.database import DATABASE_NAME, OWNER_ROLE
from tests.mutation.scope import ROOT
from tests.support.postgres import RunningPostgres, running_postgres

_OWN_PACKAGES = {"parley", "functions", "tests", "local", "cli", "openapi", "bench"}
_AWS_SERVICES = ("s3", "sesv2", "sqs", "ssm")
_TEMPLATE = "parley_template"
_OPTIONS = ("-q", "-p", "no:cacheprovider", "--assert=plain", "-o", "timeout=0")
# A mutant that computes for so long probably loops; one that waits for so long probably waits for ever.
_LEAST_CPU_S, _LEAST_WAIT_S = 5.0, 12.0
# Each changed source has a later time than every other version, or Python would run the bytecode of an earlier one.
_FUTURE_S = 10**6


@dataclass(frozen=True)
class MutantJob:
    """The tests to run with changed files, by path below the tree; `stops` at the first failure. They take about `seconds`."""

    tests: list[str]
    seconds: float
    sources: dict[str, str] = field(default_factory=dict)
    stops: bool = False


@dataclass
class Outcome:
    """The tests that passed and failed, pytest's exit code, or the signal that ended the process.

    `messages` has the error of each failed test; `broken` are those of `failed` that could not be collected or prepared.
    """

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    messages: dict[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    signal: str = ""
    is_database_used: bool = False
    cpu_s: float = 0.0
    output: str = ""


class Recorder:
    """A pytest plugin that notes failures, and lends the tests the worker's PostgreSQL."""

    def __init__(self, server: RunningPostgres, report: Path, *, stops: bool) -> None:
        self._server, self._report, self._stops = server, report, stops
        self.outcome = Outcome()

    def end(self, exit_code: int | None) -> NoReturn:
        """Report, and end the process without the fixtures' ends, which only close what ends with it."""
        self.outcome.exit_code = exit_code
        self._report.write_text(json.dumps(asdict(self.outcome)))
        os._exit(0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self.end(int(exitstatus))

    def _note(self, report: Any) -> None:
        is_call = getattr(report, "when", "") == "call"
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.outcome.failed.append(report.nodeid)
            self.outcome.messages[report.nodeid] = crash.message if crash else str(report.longrepr)
            if not is_call:
                self.outcome.broken.append(report.nodeid)
            if self._stops:
                self.end(None)
        elif is_call:
            self.outcome.passed.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> RunningPostgres | None:
        """Use the running server, and no migration: the database is a copy of a migrated one."""
        if fixturedef.argname == "database":
            from functions.migrate import app, upgrade

            app.upgrade = lambda _engine: upgrade.Upgrade(None, None)
        if fixturedef.argname != "postgres":
            return None
        self.outcome.is_database_used = True
        fixturedef.cached_result = (self._server, fixturedef.cache_key(request), None)
        return self._server


class Worker:
    """A copy of the tree with its PostgreSQL."""

    def __init__(self, server: RunningPostgres, folder: Path, *, root: Path = ROOT) -> None:
        self._server, self._folder, self._root = server, folder, root
        self._version = 0

    def prepare(self) -> None:
        """Import all packages, and make the template of the database."""
        self._forked(self._list_packages)
        for name in json.loads((self._folder / "packages.json").read_text()):
            with suppress(Exception):  # some packages can only be imported by their parents
                importlib.import_module(name)
        for plugin in entry_points(group="pytest11"):
            plugin.load()
        load_aws()
        self._forked(self._migrate)
        self._server.execute(f"ALTER DATABASE {DATABASE_NAME} RENAME TO {_TEMPLATE}", dbname="postgres")
        self._renew_database()
        gc.collect()
        gc.freeze()

    def run(self, job: MutantJob) -> Outcome:
        """Run the tests of a job."""
        report = self._folder / "report.json"
        report.unlink(missing_ok=True)
        with self._changed(job):
            status, cpu_s = self._forked(lambda: self._test(job, report))
        outcome = Outcome(**json.loads(report.read_text())) if report.exists() else Outcome(is_database_used=True)
        if os.WIFSIGNALED(status):
            outcome.signal = signal.Signals(os.WTERMSIG(status)).name
        outcome.cpu_s = cpu_s
        outcome.output = (self._folder / "output").read_text(errors="replace")[-3000:]
        if outcome.is_database_used:
            self._renew_database()
        return outcome

    @contextmanager
    def _changed(self, job: MutantJob) -> Iterator[None]:
        self._version += 1
        later_s = time.time() + _FUTURE_S + self._version
        paths = [self._root / file for file in job.sources]
        originals = [(path.read_text(), path.stat()) for path in paths]
        for path, source in zip(paths, job.sources.values(), strict=True):
            path.write_text(source)
            os.utime(path, (later_s, later_s))
        try:
            yield
        finally:
            for path, (original, moment) in zip(paths, originals, strict=True):
                path.write_text(original)
                os.utime(path, ns=(moment.st_atime_ns, moment.st_mtime_ns))

    def _forked(self, run: Callable[[], None]) -> tuple[int, float]:
        """Run a function in a child without the product's modules, and end the processes that it leaves.

        Returns the child's status, and the seconds for which it computed.
        """
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # the thread of PostgreSQL's supervisor waits
            child = os.fork()
        if not child:
            self._become_child(run)
        _, status, usage = os.wait4(child, 0)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        return status, usage.ru_utime + usage.ru_stime

    def _become_child(self, run: Callable[[], None]) -> NoReturn:
        os.setsid()
        output = os.open(self._folder / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream, target in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
            os.dup2(stream, target)
        for name in [name for name in sys.modules if name.partition(".")[0] in _OWN_PACKAGES]:
            del sys.modules[name]
        importlib.invalidate_caches()
        try:
            run()
        except BaseException:  # a child never returns into the parent's loop
            sys.excepthook(*sys.exc_info())
            os._exit(70)
        os._exit(0)

    def _test(self, job: MutantJob, report: Path) -> None:
        signal.setitimer(signal.ITIMER_PROF, _LEAST_CPU_S + 2 * job.seconds)
        signal.setitimer(signal.ITIMER_REAL, _LEAST_WAIT_S + 3 * job.seconds)
        recorder = Recorder(self._server, report, stops=job.stops)
        options = [*_OPTIONS, f"--rootdir={self._root}", f"--basetemp={self._folder / 'pytest'}"]
        os.chdir(self._root)
        recorder.end(int(pytest.main([*options, *job.tests], plugins=[recorder])))  # unless the session ended: nothing was collected

    def _list_packages(self) -> None:
        for name in ("tests.conftest", *_own_modules()):
            importlib.import_module(name)
        names = [name for name in sys.modules if name.partition(".")[0] not in _OWN_PACKAGES]
        (self._folder / "packages.json").write_text(json.dumps(names))

    def _migrate(self) -> None:
        os.environ |= {
            "PARLEY_DATABASE_HOST": "127.0.0.1",
            "PARLEY_DATABASE_PORT": str(self._server.port),
            "PARLEY_DATABASE_NAME": DATABASE_NAME,
            "PARLEY_DATABASE_AUTH": "libpq",
            "PARLEY_DATABASE_TLS": "disable",
            "PARLEY_DATABASE_CA_FILE": "",
            "PGPASSFILE": str(self._server.passfile),
        }
        from functions.migrate.upgrade import upgrade
        from parley.db.engine import make_engine
        from parley.settings import DatabaseSettings

        upgrade(make_engine(DatabaseSettings.read(), role="owner"))

    def _renew_database(self) -> None:
        self._server.execute(f"DROP DATABASE IF EXISTS {DATABASE_NAME} WITH (FORCE)", dbname="postgres")
        copy = f"CREATE DATABASE {DATABASE_NAME} OWNER {OWNER_ROLE} TEMPLATE {_TEMPLATE} STRATEGY FILE_COPY"
        self._server.execute(copy, dbname="postgres")


def load_aws() -> None:
    """Load the simulated services and botocore's descriptions, which are large, and keep the descriptions for the children."""
    load_file = cache(JSONFileLoader().load_file)
    JSONFileLoader.load_file = lambda _loader, path: load_file(path)
    for service in _AWS_SERVICES:
        for module in ("models", "responses", "urls"):
            importlib.import_module(f"moto.{service}.{module}")
        boto3.client(service, region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")


def _own_modules() -> Iterator[str]:
    """Yield the names of the product's modules, except those that read their settings at the import."""
    for folder, base in (("layers/shared/parley", "layers/shared"), ("functions", "")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.name != "app.py" and "migrations" not in path.parts and "embedder" not in path.parts:
                name = path.relative_to(ROOT / base).with_suffix("").as_posix().replace("/", ".")
                yield name.removesuffix(".__init__")


def main() -> None:
    """Answer jobs until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else this process prints is no answer
    with (
        TemporaryDirectory(prefix="parley-worker-") as folder,
        TemporaryDirectory(prefix="parley-test-") as data,
        running_postgres(Path(data)) as server,
    ):
        worker = Worker(server, Path(folder))
        worker.prepare()
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(asdict(worker.run(MutantJob(**json.loads(line))))), file=answers, flush=True)


if __name__ == "__main__":
    main()
