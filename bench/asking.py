"""One client that asks one question after the other."""

import http.client
import json
import time
from types import TracebackType
from typing import Self

from bench.servers import HOST, Server, ServerFailed


class Asker:
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
