"""A stand-in for the API on loopback, and the ways a person runs `parley` against it."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from cli.sessions import Session, SessionFile

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 5.0


@dataclass(frozen=True)
class Request:
    """What the client sent."""

    method: str
    path: str
    token: str
    body: dict

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


class StandIn(ThreadingHTTPServer):
    """Plays the API: each route answers with the next of its scripted answers, the last one again and again."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests: list[Request] = []
        self.failures: list[BaseException | None] = []
        self._answers: dict[str, list[Callable]] = {}
        self._lock = threading.Lock()

    def on(self, route: str, *answers: Callable) -> None:
        self._answers[route] = list(answers)

    def take(self, request: Request) -> Callable:
        with self._lock:
            self.requests.append(request)
            answers = self._answers.get(request.line.partition("?")[0]) or [problem(404, "not_found", f"No route {request.line}.")]
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def handle_error(self, *_: object) -> None:
        """Pass over clients that leave; the fixture fails the test for anything else."""
        if not isinstance(sys.exception(), ConnectionError):
            self.failures.append(sys.exception())

    @property
    def lines(self) -> list[str]:
        return [request.line for request in self.requests]


class Handler(BaseHTTPRequestHandler):
    """Reads one request whole and lets its scripted answer write."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: StandIn

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.server.take(Request(self.command, self.path, token, json.loads(body or b"{}")))(self)

    do_GET = do_POST = _serve  # noqa: N815 -- http.server's own spelling

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


def reply(status: int, body: object = None, *, media_type: str = "application/json", **headers: str) -> Callable:
    """An answer in one piece."""

    def write(handler: Handler) -> None:
        content = body.encode() if isinstance(body, str) else b"" if body is None else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"Content-Type": media_type, "Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return write


def problem(status: int, code: str, detail: str, **more: object) -> Callable:
    """An RFC 9457 answer; `retry_after` becomes the header."""
    headers = {"Retry_After": str(more.pop("retry_after"))} if "retry_after" in more else {}
    body = {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail, "request_id": "req-1", **more}
    return reply(status, body, media_type="application/problem+json", **headers)


def stream(*pieces: object, is_cut: bool = False) -> Callable:
    """A chunked event stream: (name, data) is sent as one event, bytes as they are, a `threading.Event` is waited for."""

    def write(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in pieces:
            if isinstance(piece, threading.Event):
                piece.wait(PATIENCE_S)
                continue
            chunk = piece if isinstance(piece, bytes) else f"event: {piece[0]}\ndata: {json.dumps(piece[1])}\n\n".encode()
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        handler.close_connection = is_cut
        handler.wfile.write(b"" if is_cut else b"0\r\n\r\n")

    return write


STARTED = ("turn.started", {"turn_id": "t-1", "conversation_id": "c-1", "user_message_id": "m-1", "model": "offline"})
COMPLETED = (
    "turn.completed",
    {
        "message_id": "m-2",
        "finish_reason": "stop",
        "usage": {"input_tokens": 12, "output_tokens": 34, "cost_usd": 0.00042},
        "model": "offline",
        "timings": {"first_token_ms": 120, "total_ms": 1400},
    },
)


def says(*texts: str) -> Callable:
    """A whole turn that answers in these pieces."""
    return stream(STARTED, *(("text.delta", {"text": text}) for text in texts), COMPLETED)


def tokens(number: int, *, expires_in: float = 600) -> dict:
    """The pair of tokens with this number."""
    return {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}", "token_type": "Bearer", "expires_in": expires_in}


class Terminal:
    """A `parley` process with a terminal of its own, as a person sees it."""

    def __init__(self, *args: str) -> None:
        self._fd, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
        # The process takes the terminal as its controlling one, so that Ctrl-C and hidden prompts work.
        adopt = (
            "import fcntl,os,sys,termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
        )
        command = [sys.executable, "-c", adopt, *PARLEY, *args]
        self.process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, cwd=ROOT, start_new_session=True)
        os.close(child)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C, as late after the last output as a person would: CPython forgets one that comes just before it reads."""
        time.sleep(0.2)
        self.type("\x03")

    def expect(self, text: str) -> None:
        """Wait until `text` is shown after what was expected before; colours do not count."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.shown:
            if time.monotonic() > deadline or not self._read():
                raise AssertionError(f"{text!r} was not shown, but {self.shown!r}")
        self.shown = self.shown.partition(text)[2]

    def end(self) -> int:
        """Wait for the end and return the exit code; what is left stands in `shown`."""
        while self._read():
            pass
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)
        os.close(self._fd)

    def _read(self) -> bool:
        if not select.select([self._fd], [], [], PATIENCE_S)[0]:
            return False
        try:
            piece = os.read(self._fd, 4096).decode(errors="replace")
        except OSError:  # EIO: the other side is closed
            return False
        self.shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", piece)
        return bool(piece)


PARLEY = ("-W", "error", "-m", "cli")


class Script:
    """What the tests write the stand-in's lines with."""

    reply = staticmethod(reply)
    problem = staticmethod(problem)
    stream = staticmethod(stream)
    says = staticmethod(says)
    tokens = staticmethod(tokens)
    started = STARTED
    completed = COMPLETED


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def server() -> Iterator[StandIn]:
    stand_in = StandIn()
    thread = threading.Thread(target=stand_in.serve_forever, args=(0.005,))
    thread.start()
    yield stand_in
    stand_in.shutdown()
    thread.join()
    stand_in.server_close()
    assert stand_in.failures == []


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The config folder of the person, not made yet."""
    for name in ("PARLEY_URL", "PARLEY_PORT", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PARLEY_CONFIG_DIR", str(tmp_path / "home" / "parley"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path / "home" / "parley"


@pytest.fixture
def alice(server: StandIn, config: Path) -> SessionFile:
    """Alice is logged in at the stand-in with the pair of tokens number 1."""
    sessions = SessionFile(config)
    sessions.log_in(server.url, Session("alice@example.com", "access-1", "refresh-1", time.time() + 600))
    return sessions


@pytest.fixture
def expired(server: StandIn, alice: SessionFile) -> SessionFile:
    """Alice's access token has ended."""
    alice.log_in(server.url, Session("alice@example.com", "access-1", "refresh-1", time.time() - 1))
    return alice


@pytest.fixture
def parley() -> Callable[..., Result]:
    """Run a command in this process; `stdin` is what is piped in."""

    def run(*args: str, stdin: str | bytes | None = None) -> Result:
        result = CliRunner(mix_stderr=False).invoke(main, args, input=stdin, prog_name="parley")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen]]:
    """Start a command as a process of its own, its output piped."""
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
    """Start a command in a terminal."""
    opened: list[Terminal] = []

    def begin(*args: str) -> Terminal:
        opened.append(Terminal(*args))
        return opened[-1]

    yield begin
    for each in opened:
        each.close()


@dataclass(frozen=True)
class Gate:
    """Holds an answer back until the test opens it."""

    arrived: threading.Event = field(default_factory=threading.Event)
    open: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def gate() -> Iterator[Gate]:
    held = Gate()
    yield held
    held.open.set()
