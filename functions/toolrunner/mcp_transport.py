"""The HTTP transport of the MCP client, behind the egress filter. Imported late, with the client."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from parley.tools.guarded_http.errors import FetchFailed
from parley.tools.guarded_http.transport import AsyncGuardedTransport

MAX_BYTES = 5_000_000
# How long the end of a session waits for the server, which need not answer.
GOODBYE_S = 0.2


class BoundedTransport(AsyncGuardedTransport):
    """Rejects compressed responses, and responses of more than 5 MB. Waits only briefly for the answer to the end of a session."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "DELETE":
            return await self._end_session(request)
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            raise FetchFailed("The response is compressed although this was not requested.")
        response.stream = _LimitedStream(response.stream)
        return response

    async def _end_session(self, request: httpx2.Request) -> httpx2.Response:
        # The client ends a session after the result, and even after a timeout: a slow answer must not cost either.
        async with asyncio.timeout(GOODBYE_S):
            response = await super().handle_async_request(request)
            await response.aclose()
        return httpx2.Response(response.status_code)


class _LimitedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._inner:
            size += len(chunk)
            if size > MAX_BYTES:
                raise FetchFailed(f"The response is larger than {MAX_BYTES / 1_000_000:g} MB.")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
