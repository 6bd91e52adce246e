"""One signed-up user of a running Parley, and calls in their name."""

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

from bench.servers import HOST, Server, ServerFailed
from bench.stack import People

JSON = "application/json"
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 8.0, 8.0)


class Account:
    """Signs up at the first call."""

    def __init__(self, server: Server) -> None:
        self._server, self._people = server, People(server, 1)

    def sign_up(self) -> None:
        """Do it now: calls from several threads would each."""
        self._people.tokens()

    def call(self, method: str, path: str, body: Any = None, *, content_type: str = JSON) -> Any:
        """Return what is answered, read as JSON. `body` is sent as JSON too, or as it is if it is bytes. Raises ServerFailed."""
        (token,) = self._people.tokens()
        headers = {"Content-Type": content_type, "Authorization": f"Bearer {token}"}
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
        status, content = _answered(self._server.port, method, path, sent, headers)
        if status >= 400:
            raise ServerFailed(f"{method} {path} was answered with {status}: {content[:300]!r}")
        return json.loads(content or b"null")

    def tokens(self) -> Iterator[tuple[str, int]]:
        """Yield each model and the tokens that it has read for this user."""
        for line in self.call("GET", "/usage?limit=100")["items"]:
            yield line["model"], line["input_tokens"]


def _answered(port: int, method: str, path: str, sent: str | bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
    """Return status and body; a machine that has too much to do is asked again, for a while."""
    for pause_s in (*PAUSES_S, None):
        connection = http.client.HTTPConnection(HOST, port, timeout=120)
        try:
            connection.request(method, path, sent, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 503 or pause_s is None:
            break
        time.sleep(pause_s)
    return answer.status, content
