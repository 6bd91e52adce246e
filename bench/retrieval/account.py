"""One signed-up user of a running Parley, and calls in their name."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

from bench.servers import HOST, Server, ServerFailed
from bench.stack import People

JSON = "application/json"


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
        connection = http.client.HTTPConnection(HOST, self._server.port, timeout=120)
        try:
            connection.request(method, path, sent, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise ServerFailed(f"{method} {path} was answered with {answer.status}: {content[:300]!r}")
        return json.loads(content or b"null")

    def tokens(self) -> Iterator[tuple[str, int]]:
        """Yield each model and the tokens that it has read for this user."""
        for line in self.call("GET", "/usage?limit=100")["items"]:
            yield line["model"], line["input_tokens"]
