"""The outcome of an invocation: a result, a failure, or a stream of chunks."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

type Outcome = HandlerResult | Failure | Stream


@dataclass(frozen=True)
class HandlerResult:
    """The handler's return value, as JSON."""

    payload: bytes


@dataclass(frozen=True)
class Failure:
    """The function's own error, or Lambda's reason for ending it. `is_init` is set if initialisation failed."""

    error_type: str
    message: str
    detail: bytes | None = None
    is_init: bool = False

    @property
    def payload(self) -> bytes:
        """The error object in Lambda's response format."""
        return self.detail or json.dumps({"errorType": self.error_type, "errorMessage": self.message}).encode()

    @classmethod
    def reported(cls, detail: bytes, fallback_type: str = "Unhandled") -> "Failure":
        """Parse an error object reported by a runtime; other content becomes the message of a `fallback_type` failure."""
        try:
            fields: Any = json.loads(detail)
            return cls(str(fields["errorType"]), str(fields["errorMessage"]), detail)
        except (ValueError, KeyError, TypeError):
            return cls(fallback_type, detail.decode(errors="replace"))


class StreamBroken(Exception):
    """The function failed after its response had begun."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.error_type}: {failure.message}")
        self.failure = failure


class Stream:
    """A response that arrives in chunks.

    Unread chunks are buffered without limit: as on AWS, a slow client does not slow down the function. After `abandon` all
    chunks are discarded.
    """

    def __init__(self, content_type: str) -> None:
        self.content_type = content_type
        self._chunks: asyncio.Queue[bytes | Failure | None] = asyncio.Queue()
        self._is_read = True

    def feed(self, chunk: bytes) -> None:
        if self._is_read:
            self._chunks.put_nowait(chunk)

    def end(self, failure: Failure | None = None) -> None:
        """End the stream. With a `failure`, the stream raises `StreamBroken` for its reader."""
        if self._is_read:
            self._chunks.put_nowait(failure)

    def abandon(self) -> None:
        """End the stream for its reader and discard everything the function still sends."""
        self._is_read = False
        while not self._chunks.empty():
            self._chunks.get_nowait()
        self._chunks.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (item := await self._chunks.get()) is not None:
            if isinstance(item, Failure):
                raise StreamBroken(item)
            yield item
