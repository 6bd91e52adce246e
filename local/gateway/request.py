"""A request inside the gateway: the client's data and the gateway's additions."""

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from local.template.stack import Route

# The gateway removes these headers, which apply to a single connection; a function never receives them.
_HOP_BY_HOP_HEADERS = {"connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}


@dataclass
class GatewayRequest:
    """A client's request with its id, its times and, once known, its route, authorizer context and notes for the access log."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: list[tuple[str, str]]
    peer: str
    protocol: str
    port: int
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: float = field(default_factory=time.monotonic)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    route: Route | None = None
    path_parameters: dict[str, str] = field(default_factory=dict)
    authorizer: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    error_reason: str = ""
    has_begun: bool = False

    @classmethod
    def of(cls, scope: dict[str, Any]) -> "GatewayRequest":
        """Create the request from an ASGI scope."""
        peer = scope.get("client") or ("127.0.0.1", 0)
        server = scope.get("server") or ("127.0.0.1", 0)
        headers = [(_canonical_name(name), value.decode("latin-1")) for name, value in scope["headers"]]
        request = cls(
            method=scope["method"],
            path=(scope.get("raw_path") or scope["path"].encode()).decode("latin-1"),
            query=parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True),
            headers=[(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP_HEADERS],
            peer=peer[0],
            protocol=f"HTTP/{scope['http_version']}",
            port=server[1],
        )
        request.headers = list(request._forwarded(scope["scheme"]))
        return request

    def header(self, name: str) -> str:
        """Return the last value of a header, or an empty string if there is none."""
        wanted = name.lower()
        return next((value for key, value in reversed(self.headers) if key.lower() == wanted), "")

    @property
    def elapsed_ms(self) -> float:
        return (time.monotonic() - self.started) * 1000

    @property
    def caller(self) -> str:
        """The principal that the authorizer returned, or the client's address if no authorizer has run."""
        return str((self.authorizer or {}).get("principalId") or self.peer)

    @property
    def trace_id(self) -> str:
        return self.header("X-Amzn-Trace-Id")

    def _forwarded(self, scheme: str) -> Iterable[tuple[str, str]]:
        """Yield the headers as API Gateway forwards them: with X-Forwarded-* set, and with a trace id added if missing."""
        came_from = [value for name, value in self.headers if name == "X-Forwarded-For"]
        ours = {"X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto"}
        yield from ((name, value) for name, value in self.headers if name not in ours)
        yield "X-Forwarded-For", ", ".join([*came_from, self.peer])
        yield "X-Forwarded-Port", str(self.port)
        yield "X-Forwarded-Proto", scheme
        if not self.header("X-Amzn-Trace-Id"):
            stamp = self.request_id.replace("-", "")
            yield "X-Amzn-Trace-Id", f"Root=1-{int(self.at.timestamp()):08x}-{stamp[:24]}"


@lru_cache(maxsize=512)
def _canonical_name(name: bytes) -> str:
    """Return a header's usual spelling: ASGI lowercases names, whereas API Gateway keeps the client's spelling."""
    return "-".join(part.capitalize() for part in name.decode("latin-1").split("-"))
