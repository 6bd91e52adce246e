"""A running `parley up` with its own data, registered users, and a chat client."""

import http.client
import json
import secrets
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.harness import processes
from bench.harness.servers import HOST, Server, ServerFailed, call, free_port, running_server

CHAT_HANDLER = "functions.chat.app.handler"
PASSWORD = "a pass phrase for a benchmark"
# Access tokens are valid for ten minutes and must not expire during a measurement.
_TOKEN_REUSE_S = 240.0
_WORKERS_LIMIT_S = 60.0

_MODELS = """
[roles]
chat = "fake"

[models.fake]
provider = "openai-compatible"
name = "fake"
base_url = "{upstream}"

[models.paced]
provider = "openai-compatible"
name = "paced"
base_url = "{upstream}"

[models.wide]
provider = "openai-compatible"
name = "fake"
base_url = "{upstream}"
context_tokens = 2000000

[models.slow]
provider = "openai-compatible"
name = "slow"
base_url = "{upstream}"

[models.offline]
provider = "offline"
name = "offline"
context_tokens = 32000
"""


@dataclass
class Users:
    """Registered users of a running Parley, each with a session."""

    server: Server
    count: int
    _emails: list[str] = field(default_factory=list)
    _tokens: list[str] = field(default_factory=list)
    _at: float = 0.0

    def tokens(self) -> list[str]:
        """Return an access token for each user, registering or logging in if necessary."""
        if not self._emails:
            self._emails = [f"{secrets.token_hex(8)}@example.com" for _ in range(self.count)]
            self._authenticate("register")
        elif time.monotonic() - self._at > _TOKEN_REUSE_S:
            self._authenticate("login")
        return self._tokens

    @property
    def credentials(self) -> dict[str, str]:
        """The e-mail address and password of the first user."""
        return {"email": self._emails[0], "password": PASSWORD}

    def _authenticate(self, operation: str) -> None:
        self._at = time.monotonic()
        self._tokens = [self._token(operation, email) for email in self._emails]

    def _token(self, operation: str, email: str) -> str:
        status, answer = call(self.server, "POST", f"/auth/{operation}", {"email": email, "password": PASSWORD})
        if status >= 400:
            raise ServerFailed(f"{operation} failed with status {status}: {json.dumps(answer)}")
        return str(answer["access_token"])


@contextmanager
def running_parley(
    folder: Path,
    *,
    upstream: str = "http://127.0.0.1:9/v1",
    models: str = _MODELS,
    limit_s: float = 90,
    parameters: Sequence[str] = (),
    workers: int = 10,
) -> Iterator[Server]:
    """Run the stack without throttling until the end of the block. Data that already exists in `folder` is used.

    It runs without PgBouncer, and so with prepared statements: as a deployment with `DatabaseMode=Direct` may.

    `parameters` are additional template parameters as `Name=value`; `workers` is the limit for each function.
    """
    catalogue = folder / "models.toml"
    port = free_port()
    catalogue.write_text(models.format(upstream=upstream))
    options = ["--no-pgbouncer", "--port", str(port), "--data", str(folder / "data"), "--models", str(catalogue), "--workers", str(workers)]
    options += ["--parameter", "ThrottlePerSecond=100000", "--parameter", "ThrottleBurst=100000", "--parameter", "RatePerMinute=1000000"]
    options += [word for parameter in parameters for word in ("--parameter", parameter)]
    command = [sys.executable, "-m", "cli", "up", *options]
    with running_server(command, port=port, log=folder / "parley.log", ready="/health", limit_s=limit_s) as server:
        yield server


def workers(server: Server) -> dict[str, list[int]]:
    """Return the process ids of the workers by handler. Without /proc, the result is empty."""
    pids_by_handler: dict[str, list[int]] = {}
    for pid in processes.tree(server.pid):
        if handler := processes.environment(pid).get("_HANDLER"):
            pids_by_handler.setdefault(handler, []).append(pid)
    return pids_by_handler


def worker_environments(server: Server, handlers: Collection[str]) -> dict[str, dict[str, str]]:
    """Return the environment of a worker of each handler. A stack that has just started may still be importing some functions.

    Raises `ServerFailed` if a worker is missing after a minute, or without /proc.
    """
    gives_up_s = time.monotonic() + _WORKERS_LIMIT_S
    while missing := set(handlers) - (found := workers(server)).keys():
        if time.monotonic() > gives_up_s:
            raise ServerFailed(f"cannot read the environment of a worker of {', '.join(sorted(missing))} (needs Linux's /proc)")
        time.sleep(0.2)
    return {handler: processes.environment(found[handler][0]) for handler in handlers}


class ChatClient:
    """A chat client of one user, on a persistent connection."""

    def __init__(self, server: Server, token: str) -> None:
        self._connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}

    def ask(self, body: dict[str, object], *, patience_s: float = 0.0) -> float:
        """Send a message without streaming and return the duration in milliseconds. Raises `ServerFailed` on an error status.

        A 503 is repeated for up to `patience_s`, after the pause that it asks for; only the last request is timed.
        """
        gives_up_s = time.perf_counter() + patience_s
        while True:
            started_s = time.perf_counter()
            self._connection.request("POST", "/chat", json.dumps(body | {"stream": False}), self._headers)
            answer = self._connection.getresponse()
            document = answer.read()
            elapsed_ms = (time.perf_counter() - started_s) * 1000
            pause_s = float(answer.headers.get("Retry-After", 1))
            if answer.status != 503 or started_s + pause_s > gives_up_s:
                break
            print(f"a turn was refused for {pause_s:.0f} s: {document.decode(errors='replace')}", file=sys.stderr, flush=True)
            time.sleep(pause_s)
        if answer.status != 200:
            raise ServerFailed(f"a turn failed with status {answer.status}: {document.decode(errors='replace')}")
        self.conversation_id = str(json.loads(document)["conversation_id"])
        return elapsed_ms

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()
