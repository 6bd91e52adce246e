"""How an invocation ends: one answer, a failure, or a stream of chunks."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

type Outcome = HandlerResult | Failure | Stream


@dataclass(frozen=True)
class HandlerResult:
    """What the handler returned, as JSON."""

    payload: bytes


@dataclass(frozen=True)
class Failure:
    """The function failed: its own exception, or Lambda's reason for ending it. `is_init`: it did not even start."""

    error_type: str
    message: str
    detail: bytes | None = None
    is_init: bool = False

    @property
    def payload(self) -> bytes:
        """The error object as Lambda answers it."""
        return self.detail or json.dumps({"errorType": self.error_type, "errorMessage": self.message}).encode()

    @classmethod
    def reported(cls, detail: bytes, fallback_type: str = "Unhandled") -> "Failure":
        """Return the failure that a runtime reported in Lambda's error format."""
        try:
            fields: Any = json.loads(detail)
            return cls(str(fields["errorType"]), str(fields["errorMessage"]), detail)
        except (ValueError, KeyError, TypeError):
            return cls(fallback_type, detail.decode(errors="replace"))


class StreamBroken(Exception):
    """The function failed after its answer had begun."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.error_type}: {failure.message}")
        self.failure = failure


class Stream:
    """An answer that arrives in chunks.

    What nobody has read yet is kept, as on AWS the function is not slowed down
    by a slow client; after `abandon` it is thrown away.
    """

    def __init__(self, content_type: str) -> None:
        self.content_type = content_type
        self._chunks: asyncio.Queue[bytes | Failure | None] = asyncio.Queue()
        self._is_read = True

    def feed(self, chunk: bytes) -> None:
        if self._is_read:
            self._chunks.put_nowait(chunk)

    def end(self, failure: Failure | None = None) -> None:
        """Say that no more chunks come, and why if that is a failure."""
        if self._is_read:
            self._chunks.put_nowait(failure)

    def abandon(self) -> None:
        """End it for its reader; the function goes on, and what it sends is thrown away."""
        self._is_read = False
        while not self._chunks.empty():
            self._chunks.get_nowait()
        self._chunks.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (item := await self._chunks.get()) is not None:
            if isinstance(item, Failure):
                raise StreamBroken(item)
            yield item
