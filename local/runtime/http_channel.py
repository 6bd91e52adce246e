"""HTTP/1.1 on one connection, by h11: requests in, with chunks and trailers as they arrive, answers out."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import h11

_READ_BYTES = 65_536
# A reported error brings its whole traceback along in a header, of at most 1 MB.
_HEAD_BYTES = 2 * 1024 * 1024


class BodyOverLimit(Exception):
    """The body is larger than its reader takes; it was read to its end."""


@dataclass(frozen=True)
class RequestHead:
    """The head of a request; header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]


class HttpChannel:
    """One connection of a worker's runtime client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)
        self._reader = reader
        self._writer = writer
        self.trailers: dict[str, str] = {}

    async def request(self) -> RequestHead | None:
        """Return the next request, or None when the client has gone."""
        event = await self._event()
        if not isinstance(event, h11.Request):
            return None
        return RequestHead(event.method.decode(), event.target.decode(), _decoded(event.headers))

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the request's body as it arrives; then `trailers` are set."""
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise h11.RemoteProtocolError("the body ended early")
            yield bytes(event.data)
        self.trailers = _decoded(event.headers)

    async def whole_body(self, *, limit: int) -> bytes:
        """Return the body; raises `BodyOverLimit` past `limit` bytes."""
        parts, size = [], 0
        async for part in self.body():
            size += len(part)
            if size <= limit:
                parts.append(part)
        if size > limit:
            raise BodyOverLimit(f"{size} bytes, {limit} are the limit")
        return b"".join(parts)

    async def reply(self, status: int, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Answer the request and make ready for the next one on the connection."""
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
        return event  # type: ignore[return-value]  # NEED_DATA is gone by here


def _decoded(headers: h11._headers.Headers) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in headers}
