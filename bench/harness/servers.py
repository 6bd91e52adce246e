"""Start a server process for a measurement, wait until it is ready, and stop it afterwards."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
_PARENT_DEATH_WRAPPER = Path("local/die_with_parent.py")
_POLL_S = 0.01
_STOP_S = 20.0
FAILED_LOGS = Path(".bench/failed")


class ServerFailed(Exception):
    """A server or a helper process failed; the message ends with its output."""


@dataclass(frozen=True)
class Server:
    """A running server process on a loopback port."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_server(
    command: Sequence[str], *, port: int, log: Path, ready: str = "/", environment: Mapping[str, str] | None = None, limit_s: float = 90
) -> Iterator[Server]:
    """Run a server until the block ends or this process dies. The block starts once the path `ready` responds.

    If the block raises `ServerFailed`, the server's log is kept, and a note of the exception names it.
    """
    wrapper = [sys.executable, "-I", "-S", str(_PARENT_DEATH_WRAPPER), str(os.getpid()), str(int(signal.SIGTERM)), "-1", "-1", "0"]
    with log.open("wb") as output:
        variables = os.environ | (environment or {})
        process = subprocess.Popen([*wrapper, *command], env=variables, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        _wait_until_ready(process, port, ready, limit_s=limit_s, log=log)
        yield Server(process.pid, port)
    except ServerFailed as failure:
        failure.add_note(f"The log is kept: {_kept(log)}")
        raise
    finally:
        _stop(process)


def call(server: Server, method: str, path: str, body: Any = None, *, timeout_s: float = 30) -> tuple[int, Any]:
    """Send one request and return the status and the decoded JSON."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=timeout_s)
    try:
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _kept(log: Path) -> Path:
    """Copy the log of a server out of its temporary folder, and return the copy. It replaces the copy of an earlier failure."""
    FAILED_LOGS.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(log, FAILED_LOGS))


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, path: str, *, limit_s: float, log: Path) -> None:
    ends = time.monotonic() + limit_s
    while not _answers(port, path, timeout_s=limit_s):
        if process.poll() is not None or time.monotonic() > ends:
            raise ServerFailed(f"{' '.join(map(str, process.args))} did not start:\n{log.read_text(errors='replace')[-2000:]}")  # type: ignore[arg-type]
        time.sleep(_POLL_S)


def _answers(port: int, path: str, *, timeout_s: float) -> bool:
    """Return whether the server answers a request. If it listens but is not ready, the request waits, which is faster than polling."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
