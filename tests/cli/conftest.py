"""Fixtures for CLI tests: a fake API, a config directory, a logged-in user, and ways to run `parley`."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from cli.session_store import SessionFile, StoredSession
from tests.cli.fake_api import FakeApi
from tests.cli.terminal import PARLEY, ROOT, Terminal


@pytest.fixture
def server() -> Iterator[FakeApi]:
    api = FakeApi()
    thread = threading.Thread(target=api.serve_forever, args=(0.005,))
    thread.start()
    yield api
    api.shutdown()
    thread.join()
    api.server_close()
    assert api.failures == []


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's config directory, which does not exist yet."""
    for name in ("PARLEY_URL", "PARLEY_PORT", "PARLEY_API_KEY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PARLEY_CONFIG_DIR", str(tmp_path / "home" / "parley"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path / "home" / "parley"


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the local time zone to UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def alice(server: FakeApi, config: Path) -> SessionFile:
    """Alice, logged in at the fake API with token pair 1."""
    sessions = SessionFile(config)
    sessions.log_in(server.url, StoredSession("alice@example.com", "access-1", "refresh-1", time.time() + 600))
    return sessions


@pytest.fixture
def expired(server: FakeApi, alice: SessionFile) -> SessionFile:
    """Alice with an expired access token."""
    alice.log_in(server.url, StoredSession("alice@example.com", "access-1", "refresh-1", time.time() - 1))
    return alice


@pytest.fixture
def parley() -> Callable[..., Result]:
    """Run a command in this process with `stdin` piped in."""

    def run(*args: str, stdin: str | bytes | None = None) -> Result:
        result = CliRunner(mix_stderr=False).invoke(main, args, input=stdin, prog_name="parley")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen]]:
    """Start a command in its own process with piped output."""
    started: list[subprocess.Popen] = []

    def begin(*args: str) -> subprocess.Popen:
        command = [sys.executable, *PARLEY, *args]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, **pipes, text=True, cwd=ROOT, start_new_session=True)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Start a command in a pseudo-terminal."""
    opened: list[Terminal] = []

    def begin(*args: str) -> Terminal:
        opened.append(Terminal(*args))
        return opened[-1]

    yield begin
    for each in opened:
        each.close()


@dataclass(frozen=True)
class Gate:
    """Holds a reply back until the test opens the gate."""

    arrived: threading.Event = field(default_factory=threading.Event)
    open: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()
