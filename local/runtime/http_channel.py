"""The server side of an HTTP/1.1 connection. It uses h11 to yield chunks as they arrive and to read trailers."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import h11

_READ_BYTES = 65_536
# The runtime sends the whole traceback of an error in a header of at most 1 MB.
_HEAD_BYTES = 2 * 1024 * 1024


class BodyOverLimit(Exception):
    """The body exceeds the limit; it has been read to its end."""


@dataclass(frozen=True)
class RequestHead:
    """The head of a request; header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]


class HttpChannel:
    """A connection from the runtime client of a worker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)
        self._reader = reader
        self._writer = writer
        self.trailers: dict[str, str] = {}

    async def request(self) -> RequestHead | None:
        """Return the head of the next request, or None if the client closed the connection."""
        event = await self._event()
        if not isinstance(event, h11.Request):
            return None
        return RequestHead(event.method.decode(), event.target.decode(), _decoded(event.headers))

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the chunks of the request's body as they arrive, then set `trailers`."""
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise h11.RemoteProtocolError("the body ended early")
            yield bytes(event.data)
        self.trailers = _decoded(event.headers)

    async def whole_body(self, *, limit: int) -> bytes:
        """Return the body. Raises `BodyOverLimit` if it has more than `limit` bytes."""
        parts, size = [], 0
        async for part in self.body():
            size += len(part)
            if size <= limit:
                parts.append(part)
        if size > limit:
            raise BodyOverLimit(f"{size} bytes exceed the limit of {limit}")
        return b"".join(parts)

    async def reply(self, status: int, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Send the response and prepare the connection for the next request."""
        head = [*headers, ("content-length", str(len(body)))]
        out = self._http.send(h11.Response(status_code=status, headers=head)) or b""
        out += (self._http.send(h11.Data(data=body)) or b"") if body else b""
        out += self._http.send(h11.EndOfMessage()) or b""
        self._writer.write(out)
        await self._writer.drain()
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()

    def close(self) -> None:
        self._writer.close()

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(_READ_BYTES))
        return event  # type: ignore[return-value]  # the loop excludes NEED_DATA


def _decoded(headers: h11._headers.Headers) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in headers}
