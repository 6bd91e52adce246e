"""A user's items, stored and searched over HTTP: as conversations or as documents."""

import http.client
import json
import secrets
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

from bench.harness.servers import HOST, Server, ServerFailed
from bench.harness.stack import Users
from bench.retrieval.datasets import Item

JSON_TYPE = "application/json"
RETRY_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
CONVERSATIONS_AT_ONCE = 2
_EXTRACTION_POLL_S = 2.0
# Of the first of a text that is asked for to see whether it can be found.
_PROBE_CHARACTERS = 200
UPLOADS_AT_ONCE = 2
_INGESTION_POLL_S = 2.0


class Account:
    """Signs up at the first call."""

    def __init__(self, server: Server) -> None:
        self._server, self._users = server, Users(server, 1)

    def sign_up(self) -> None:
        """Do it now: calls from several threads would each."""
        self._users.tokens()

    def call(self, method: str, path: str, body: Any = None, *, content_type: str = JSON_TYPE) -> Any:
        """Return what is answered, read as JSON. `body` is sent as JSON too, or as it is if it is bytes. Raises ServerFailed."""
        (token,) = self._users.tokens()
        headers = {"Content-Type": content_type, "Authorization": f"Bearer {token}"}
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
        status, content = _send(self._server.port, method, path, sent, headers)
        if status >= 400:
            raise ServerFailed(f"{method} {path} was answered with {status}: {content[:300]!r}")
        return json.loads(content or b"null")

    def tokens(self) -> Iterator[tuple[str, int]]:
        """Yield each model and the tokens that it has read for this user."""
        for line in self.call("GET", "/usage?limit=100")["items"]:
            yield line["model"], line["input_tokens"]


def _send(port: int, method: str, path: str, sent: str | bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
    """Return status and body; a machine that has too much to do is asked again, for a while."""
    for pause_s in (*RETRY_PAUSES_S, None):
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


class ConversationStore:
    """The conversations of one user."""

    modes = ("text", "semantic", "hybrid")

    def __init__(self, server: Server) -> None:
        self._account = Account(server)
        self._items: dict[str, str] = {}

    def add_items(self, items: Sequence[Item], *, limit_s: float) -> float:
        """Make a conversation of each item, and return after how many seconds all could be found."""
        began = time.monotonic()
        self._add_conversations(items)
        self._extract_passages(items, limit_s=limit_s)
        return time.monotonic() - began

    def _add_conversations(self, items: Sequence[Item]) -> None:
        self._account.sign_up()
        with ThreadPoolExecutor(CONVERSATIONS_AT_ONCE) as pool:
            for item, conversation_id in zip(items, pool.map(self._add_conversation, items), strict=True):
                self._items[conversation_id] = item.id

    def _extract_passages(self, items: Sequence[Item], *, limit_s: float) -> None:
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
            time.sleep(_EXTRACTION_POLL_S if missing else 0)

    def found(self, query: str, *, mode: str, limit: int = 100) -> tuple[list[str], str]:
        """Return the ids of the items that a search finds, each once and the best first, and the mode that it was done in."""
        answer = self._account.call("GET", f"/conversations/search?{urlencode({'q': query, 'mode': mode, 'limit': limit})}")
        ids = (self._items[one["conversation_id"]] for one in answer["items"])
        return list(dict.fromkeys(ids)), answer["mode"]

    def tokens(self) -> Iterator[tuple[str, int]]:
        """Yield each model and the tokens that it has read."""
        return self._account.tokens()

    def _add_conversation(self, item: Item) -> str:
        answer = self._account.call("POST", "/chat", {"message": item.text, "stream": False, "tools": False})
        return str(answer["conversation_id"])


class DocumentStore:
    """The documents of one user."""

    modes = ("hybrid",)

    def __init__(self, server: Server) -> None:
        self._account = Account(server)
        # Items that are alike are one document.
        self._items: dict[str, list[str]] = defaultdict(list)

    def add_items(self, items: Sequence[Item], *, limit_s: float) -> float:
        """Upload a text file of each item, and return after how many seconds all could be found."""
        self._account.sign_up()
        began = time.monotonic()
        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            for item, document_id in zip(items, pool.map(self._upload, items), strict=True):
                self._items[document_id].append(item.id)
        for document_id in self._items:
            while not self._is_ready(document_id):
                if time.monotonic() - began > limit_s:
                    raise ServerFailed(f"not all of {len(self._items)} documents are read after {limit_s:.0f} s")
                time.sleep(_INGESTION_POLL_S)
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

    def _upload(self, item: Item) -> str:
        boundary = secrets.token_hex(16)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="item.txt"\r\nContent-Type: text/plain\r\n\r\n'
        body = f"{head}{item.text}\r\n--{boundary}--\r\n".encode()
        return str(self._account.call("POST", "/documents", body, content_type=f"multipart/form-data; boundary={boundary}")["id"])
