"""A user's documents, made and searched over HTTP: each item is a document of its own."""

import secrets
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

from bench.retrieval.account import Account
from bench.retrieval.sets import Item
from bench.servers import Server, ServerFailed

AT_ONCE = 2
_PAUSE_S = 2.0


class Shelf:
    """The documents of one user."""

    modes = ("hybrid",)

    def __init__(self, server: Server) -> None:
        self._account = Account(server)
        # Items that are alike are one document.
        self._items: dict[str, list[str]] = defaultdict(list)

    def put(self, items: Sequence[Item], *, limit_s: float) -> float:
        """Upload a text file of each item, and return after how many seconds all could be found."""
        self._account.sign_up()
        began = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for item, document_id in zip(items, pool.map(self._uploaded, items), strict=True):
                self._items[document_id].append(item.id)
        for document_id in self._items:
            while not self._is_ready(document_id):
                if time.monotonic() - began > limit_s:
                    raise ServerFailed(f"not all of {len(self._items)} documents are read after {limit_s:.0f} s")
                time.sleep(_PAUSE_S)
        return time.monotonic() - began

    def found(self, query: str, *, mode: str, limit: int = 50) -> tuple[list[str], str]:  # noqa: ARG002 - there is only one
        """Return the ids of the items that a search finds, each once and the best first, and the mode that it was done in."""
        answer = self._account.call("GET", f"/documents/search?{urlencode({'q': query, 'limit': limit})}")
        ids = (item_id for one in answer["items"] for item_id in self._items[one["document_id"]])
        return list(dict.fromkeys(ids)), answer["mode"]

    def tokens(self) -> Iterator[tuple[str, int]]:
        """Yield each model and the tokens that it has read."""
        return self._account.tokens()

    def _is_ready(self, document_id: str) -> bool:
        document = self._account.call("GET", f"/documents/{document_id}")
        if document["status"] == "failed":
            raise ServerFailed(f"a document cannot be read: {document['error']}")
        return bool(document["status"] == "ready")

    def _uploaded(self, item: Item) -> str:
        boundary = secrets.token_hex(16)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="item.txt"\r\nContent-Type: text/plain\r\n\r\n'
        body = f"{head}{item.text}\r\n--{boundary}--\r\n".encode()
        return str(self._account.call("POST", "/documents", body, content_type=f"multipart/form-data; boundary={boundary}")["id"])
