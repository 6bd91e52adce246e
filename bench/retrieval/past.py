"""A user's past, made and searched over HTTP: each item is a message of a conversation of its own."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

from bench.retrieval.account import Account
from bench.retrieval.sets import Item
from bench.servers import Server, ServerFailed

AT_ONCE = 2
_PAUSE_S = 2.0
# Of the first of a text that is asked for to see whether it can be found.
_PROBE_CHARACTERS = 200


class Past:
    """The conversations of one user."""

    modes = ("text", "semantic", "hybrid")

    def __init__(self, server: Server) -> None:
        self._account = Account(server)
        self._items: dict[str, str] = {}

    def put(self, items: Sequence[Item], *, limit_s: float) -> float:
        """Make a conversation of each item, and return after how many seconds all could be found."""
        began = time.monotonic()
        self._say(items)
        self._remember(items, limit_s=limit_s)
        return time.monotonic() - began

    def _say(self, items: Sequence[Item]) -> None:
        self._account.sign_up()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for item, conversation_id in zip(items, pool.map(self._said, items), strict=True):
                self._items[conversation_id] = item.id

    def _remember(self, items: Sequence[Item], *, limit_s: float) -> None:
        """Have all conversations mined."""
        began = time.monotonic()
        for conversation_id in self._items:
            self._account.call("POST", f"/conversations/{conversation_id}/summarize", {})
        missing = dict(zip((item.id for item in items), items, strict=True))
        while missing:
            for item in list(missing.values()):
                if item.id not in self.found(item.text[:_PROBE_CHARACTERS], mode="text")[0]:
                    break
                del missing[item.id]
            if missing and time.monotonic() - began > limit_s:
                raise ServerFailed(f"{len(missing)} of {len(items)} items cannot be found after {limit_s:.0f} s")
            time.sleep(_PAUSE_S if missing else 0)

    def found(self, query: str, *, mode: str, limit: int = 100) -> tuple[list[str], str]:
        """Return the ids of the items that a search finds, each once and the best first, and the mode that it was done in."""
        answer = self._account.call("GET", f"/conversations/search?{urlencode({'q': query, 'mode': mode, 'limit': limit})}")
        ids = (self._items[one["conversation_id"]] for one in answer["items"])
        return list(dict.fromkeys(ids)), answer["mode"]

    def tokens(self) -> Iterator[tuple[str, int]]:
        """Yield each model and the tokens that it has read."""
        return self._account.tokens()

    def _said(self, item: Item) -> str:
        answer = self._account.call("POST", "/chat", {"message": item.text, "stream": False, "tools": False})
        return str(answer["conversation_id"])
