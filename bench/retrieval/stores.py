"""Store and search a user's items over HTTP, as conversations or as documents."""

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
PARALLEL_CONVERSATIONS = 2
_EXTRACTION_POLL_S = 2.0
# An item is searched for by this many characters from the beginning of its text.
_PROBE_CHARACTERS = 200
PARALLEL_UPLOADS = 2
_INGESTION_POLL_S = 2.0


class ApiUser:
    """A user of the API, registered at the first call."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._users = Users(server, 1)

    def register(self) -> None:
        """Register the user now. Concurrent first calls would register several users."""
        self._users.tokens()

    def call(self, method: str, path: str, body: Any = None, *, content_type: str = JSON_TYPE) -> Any:
        """Send a request and return the decoded JSON. `body` is sent as JSON unless it is bytes. Raises `ServerFailed`."""
        (token,) = self._users.tokens()
        headers = {"Content-Type": content_type, "Authorization": f"Bearer {token}"}
        content = body if body is None or isinstance(body, bytes) else json.dumps(body)
        status, answer = _send(self._server.port, method, path, content, headers)
        if status >= 400:
            raise ServerFailed(f"{method} {path} failed with status {status}: {answer[:300]!r}")
        return json.loads(answer or b"null")

    def tokens(self) -> Iterator[tuple[str, int]]:
        """Yield each model with its input tokens for this user."""
        for line in self.call("GET", "/usage?limit=100")["items"]:
            yield line["model"], line["input_tokens"]


def _send(port: int, method: str, path: str, body: str | bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
    """Send a request and return the status and body. Retries a 503, which an overloaded machine sends, for about half a minute."""
    for pause_s in (*RETRY_PAUSES_S, None):
        connection = http.client.HTTPConnection(HOST, port, timeout=120)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 503 or pause_s is None:
            break
        time.sleep(pause_s)
    return answer.status, content


class ConversationStore:
    """Stores each item as a conversation of one user."""

    modes = ("text", "semantic", "hybrid")

    def __init__(self, server: Server) -> None:
        self._user = ApiUser(server)
        self._items: dict[str, str] = {}

    def add_items(self, items: Sequence[Item], *, limit_s: float) -> float:
        """Store each item as a conversation; return the seconds until search finds all of them."""
        began = time.monotonic()
        self._add_conversations(items)
        self._extract_passages(items, limit_s=limit_s)
        return time.monotonic() - began

    def _add_conversations(self, items: Sequence[Item]) -> None:
        self._user.register()
        with ThreadPoolExecutor(PARALLEL_CONVERSATIONS) as pool:
            for item, conversation_id in zip(items, pool.map(self._add_conversation, items), strict=True):
                self._items[conversation_id] = item.id

    def _extract_passages(self, items: Sequence[Item], *, limit_s: float) -> None:
        """Summarize all conversations and wait until search finds every item. Raises `ServerFailed` after `limit_s`."""
        began = time.monotonic()
        for conversation_id in self._items:
            self._user.call("POST", f"/conversations/{conversation_id}/summarize", {})
        missing = dict(zip((item.id for item in items), items, strict=True))
        while missing:
            for item in list(missing.values()):
                if item.id not in self.search(item.text[:_PROBE_CHARACTERS], mode="text")[0]:
                    break
                del missing[item.id]
            if missing and time.monotonic() - began > limit_s:
                raise ServerFailed(f"{len(missing)} of {len(items)} items cannot be found after {limit_s:.0f} s")
            time.sleep(_EXTRACTION_POLL_S if missing else 0)

    def search(self, query: str, *, mode: str, limit: int = 100) -> tuple[list[str], str]:
        """Return the distinct ids of the items found, best first, and the actual search mode."""
        answer = self._user.call("GET", f"/conversations/search?{urlencode({'q': query, 'mode': mode, 'limit': limit})}")
        ids = (self._items[hit["conversation_id"]] for hit in answer["items"])
        return list(dict.fromkeys(ids)), answer["mode"]

    def tokens(self) -> Iterator[tuple[str, int]]:
        """Yield each model with its input tokens."""
        return self._user.tokens()

    def _add_conversation(self, item: Item) -> str:
        answer = self._user.call("POST", "/chat", {"message": item.text, "stream": False, "tools": False})
        return str(answer["conversation_id"])


class DocumentStore:
    """Stores each item as a document of one user. Items with the same text share a document."""

    modes = ("hybrid",)

    def __init__(self, server: Server) -> None:
        self._user = ApiUser(server)
        self._items: dict[str, list[str]] = defaultdict(list)

    def add_items(self, items: Sequence[Item], *, limit_s: float) -> float:
        """Upload each item as a text file; return the seconds until all documents are ready."""
        self._user.register()
        began = time.monotonic()
        with ThreadPoolExecutor(PARALLEL_UPLOADS) as pool:
            for item, document_id in zip(items, pool.map(self._upload, items), strict=True):
                self._items[document_id].append(item.id)
        for document_id in self._items:
            while not self._is_ready(document_id):
                if time.monotonic() - began > limit_s:
                    raise ServerFailed(f"not all of {len(self._items)} documents are ready after {limit_s:.0f} s")
                time.sleep(_INGESTION_POLL_S)
        return time.monotonic() - began

    def search(self, query: str, *, mode: str, limit: int = 50) -> tuple[list[str], str]:  # noqa: ARG002 - documents have one mode
        """Return the distinct ids of the items found, best first, and the actual search mode."""
        answer = self._user.call("GET", f"/documents/search?{urlencode({'q': query, 'limit': limit})}")
        ids = (item_id for hit in answer["items"] for item_id in self._items[hit["document_id"]])
        return list(dict.fromkeys(ids)), answer["mode"]

    def tokens(self) -> Iterator[tuple[str, int]]:
        """Yield each model with its input tokens."""
        return self._user.tokens()

    def _is_ready(self, document_id: str) -> bool:
        document = self._user.call("GET", f"/documents/{document_id}")
        if document["status"] == "failed":
            raise ServerFailed(f"ingestion of a document failed: {document['error']}")
        return bool(document["status"] == "ready")

    def _upload(self, item: Item) -> str:
        boundary = secrets.token_hex(16)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="item.txt"\r\nContent-Type: text/plain\r\n\r\n'
        body = f"{head}{item.text}\r\n--{boundary}--\r\n".encode()
        return str(self._user.call("POST", "/documents", body, content_type=f"multipart/form-data; boundary={boundary}")["id"])
