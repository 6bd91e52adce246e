"""A running `parley up` on its own data, its signed-up users, and a chat client."""

import http.client
import json
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.harness import processes
from bench.harness.servers import HOST, Server, ServerFailed, call, free_port, running_server

CHAT_HANDLER = "functions.chat.app.handler"
PASSWORD = "a pass phrase for a benchmark"
# A token lives ten minutes; none may end within a measurement.
_TOKEN_REUSE_S = 240.0

_MODELS = """
[roles]
chat = "fake"

[models.fake]
provider = "openai-compatible"
name = "fake"
base_url = "{upstream}"

[models.offline]
provider = "offline"
name = "offline"
"""


@dataclass
class Users:
    """Users of a running Parley, each with a session of their own."""

    server: Server
    count: int
    _emails: list[str] = field(default_factory=list)
    _tokens: list[str] = field(default_factory=list)
    _at: float = 0.0

    def tokens(self) -> list[str]:
        """Return an access token of each, signing up or in where that is needed."""
        if not self._emails:
            self._emails = [f"{secrets.token_hex(8)}@example.com" for _ in range(self.count)]
            self._enter("register")
        elif time.monotonic() - self._at > _TOKEN_REUSE_S:
            self._enter("login")
        return self._tokens

    @property
    def credentials(self) -> dict[str, str]:
        """The first one's e-mail address and password."""
        return {"email": self._emails[0], "password": PASSWORD}

    def _enter(self, how: str) -> None:
        self._at = time.monotonic()
        self._tokens = [self._token(how, email) for email in self._emails]

    def _token(self, how: str, email: str) -> str:
        status, answer = call(self.server, "POST", f"/auth/{how}", {"email": email, "password": PASSWORD})
        if status >= 400:
            raise ServerFailed(f"{how} was answered with {status}: {json.dumps(answer)}")
        return str(answer["access_token"])


@contextmanager
def running_parley(
    folder: Path, *, upstream: str = "http://127.0.0.1:9/v1", models: str = _MODELS, limit_s: float = 90, parameters: Sequence[str] = ()
) -> Iterator[Server]:
    """Run the stack on the data in `folder`, new or not, until the block ends. Its throttle lets everything through.

    `parameters` are further ones of the template, as `Name=value`.
    """
    catalogue, port = folder / "models.toml", free_port()
    catalogue.write_text(models.format(upstream=upstream))
    options = ["--port", str(port), "--data", str(folder / "data"), "--models", str(catalogue)]
    options += ["--parameter", "ThrottlePerSecond=100000", "--parameter", "ThrottleBurst=100000", "--parameter", "RatePerMinute=1000000"]
    options += [word for parameter in parameters for word in ("--parameter", parameter)]
    command = [sys.executable, "-m", "cli", "up", *options]
    with running_server(command, port=port, log=folder / "parley.log", ready="/health", limit_s=limit_s) as server:
        yield server


def workers(server: Server) -> dict[str, list[int]]:
    """Return the processes of each function's workers, by handler; none where there is no /proc."""
    found: dict[str, list[int]] = {}
    for pid in processes.tree(server.pid):
        if handler := processes.environment(pid).get("_HANDLER"):
            found.setdefault(handler, []).append(pid)
    return found


class ChatClient:
    """A signed-in client with one connection, kept open."""

    def __init__(self, server: Server, token: str) -> None:
        self._connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}

    def ask(self, body: dict[str, object]) -> float:
        """Take a turn that is not streamed and return its milliseconds. Raises ServerFailed where there is no answer."""
        started_s = time.perf_counter()
        self._connection.request("POST", "/chat", json.dumps(body | {"stream": False}), self._headers)
        answer = self._connection.getresponse()
        document = answer.read()
        elapsed_ms = (time.perf_counter() - started_s) * 1000
        if answer.status != 200:
            raise ServerFailed(f"a turn was answered with {answer.status}: {document.decode(errors='replace')}")
        self.conversation_id = str(json.loads(document)["conversation_id"])
        return elapsed_ms

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()
