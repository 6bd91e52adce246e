"""A user's past, made and searched over HTTP: each item is a message of a conversation of its own."""

import http.client
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

from bench.retrieval.sets import Item
from bench.servers import HOST, Server, ServerFailed
from bench.stack import People

AT_ONCE = 2
_PAUSE_S = 2.0
# Of the first of a text that is asked for to see whether it can be found.
_PROBE_CHARACTERS = 200


class Past:
    """The conversations of one user."""

    def __init__(self, server: Server) -> None:
        self._server, self._people = server, People(server, 1)
        self._items: dict[str, str] = {}

    def say(self, items: Sequence[Item]) -> None:
        """Make a conversation of each item."""
        self._people.tokens()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for item, conversation_id in zip(items, pool.map(self._said, items), strict=True):
                self._items[conversation_id] = item.id

    def remember(self, items: Sequence[Item], *, limit_s: float) -> float:
        """Have all conversations mined, and return how many seconds that took."""
        began = time.monotonic()
        for conversation_id in self._items:
            self._call("POST", f"/conversations/{conversation_id}/summarize", {})
        missing = dict(zip((item.id for item in items), items, strict=True))
        while missing:
            for item in list(missing.values()):
                if item.id not in self.found(item.text[:_PROBE_CHARACTERS], mode="text")[0]:
                    break
                del missing[item.id]
            if missing and time.monotonic() - began > limit_s:
                raise ServerFailed(f"{len(missing)} of {len(items)} items cannot be found after {limit_s:.0f} s")
            time.sleep(_PAUSE_S if missing else 0)
        return time.monotonic() - began

    def found(self, query: str, *, mode: str, limit: int = 100) -> tuple[list[str], str]:
        """Return the ids of the items that a search finds, each once and the best first, and the mode that it was done in."""
        answer = self._call("GET", f"/conversations/search?{urlencode({'q': query, 'mode': mode, 'limit': limit})}")
        ids = (self._items[one["conversation_id"]] for one in answer["items"])
        return list(dict.fromkeys(ids)), answer["mode"]

    def tokens(self) -> Iterator[tuple[str, int]]:
        """Yield each model and the tokens that it has read."""
        for line in self._call("GET", "/usage?limit=100")["items"]:
            yield line["model"], line["input_tokens"]

    def _said(self, item: Item) -> str:
        answer = self._call("POST", "/chat", {"message": item.text, "stream": False, "tools": False})
        return str(answer["conversation_id"])

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        (token,) = self._people.tokens()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        connection = http.client.HTTPConnection(HOST, self._server.port, timeout=120)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise ServerFailed(f"{method} {path} was answered with {answer.status}: {content[:300]!r}")
        return json.loads(content or b"null")
