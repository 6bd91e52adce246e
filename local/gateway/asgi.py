"""ASGI input and output: read a request's body up to API Gateway's limit, and send buffered and streamed responses."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from local.gateway import integration_response
from local.gateway.errors import GatewayError, Reply
from local.gateway.request import GatewayRequest
from local.runtime.outcome import Stream, StreamBroken

type AsgiMessage = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[AsgiMessage]]
type Send = Callable[[AsgiMessage], Awaitable[None]]
BODY_LIMIT_BYTES = 10 * 1024 * 1024


async def send_reply(reply: Reply, request: GatewayRequest, send: Send) -> int:
    """Send a buffered response and return its status."""
    headers = [*_encoded_headers(reply, request), (b"content-length", str(len(reply.body)).encode())]
    request.has_begun = True
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
    return reply.status


async def has_disconnected(receive: Receive) -> bool:
    """Return, without waiting, whether the client has already closed the connection."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0):
            message = await receive()
            return bool(message["type"] == "http.disconnect")
    return False


async def until_disconnected(receive: Receive) -> None:
    """Wait until the client closes the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_stream(stream: Stream, request: GatewayRequest, *, deadline: float, receive: Receive, send: Send) -> int:
    """Send a streamed response chunk by chunk and return its status.

    A failure before the head is sent raises `GatewayError`. A later failure cannot change the status, so the connection
    closes before the end of the body, as with API Gateway.
    """
    if stream.content_type != integration_response.PRELUDE_TYPE:
        raise GatewayError("INTEGRATION_FAILURE", reason=f"the stream's content type is {stream.content_type!r}")
    chunks = aiter(stream)
    try:
        async with asyncio.timeout_at(deadline):
            reply, first = await integration_response.stream_prelude(chunks)
    except TimeoutError as error:
        raise GatewayError("INTEGRATION_TIMEOUT", reason="the stream sent no prelude before the time limit") from error
    except StreamBroken as error:
        raise GatewayError("INTEGRATION_FAILURE", reason=str(error)) from error
    watch = asyncio.create_task(_watch_for_disconnect(stream, request, receive))
    request.has_begun = True
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": _encoded_headers(reply, request)})
        async with asyncio.timeout_at(deadline):
            await _forward(chunks, first, send)
    except (StreamBroken, TimeoutError) as error:
        request.notes.append("stream interrupted")
        request.error_reason = str(error) or "the integration timed out"
    finally:
        watch.cancel()
    return reply.status


async def _forward(chunks: AsyncIterator[bytes], first: bytes, send: Send) -> None:
    if first:
        await send({"type": "http.response.body", "body": first, "more_body": True})
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _watch_for_disconnect(stream: Stream, request: GatewayRequest, receive: Receive) -> None:
    """Abandon the stream when the client disconnects; the function still runs to its end."""
    await until_disconnected(receive)
    request.notes.append("client disconnected")
    stream.abandon()


def _encoded_headers(reply: Reply, request: GatewayRequest) -> list[tuple[bytes, bytes]]:
    ours = [("x-amzn-RequestId", request.request_id), ("x-amz-apigw-id", request.request_id.replace("-", "")[:15] + "=")]
    return [(name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in [*reply.headers, *ours]]


async def read_body(request: GatewayRequest, receive: Receive) -> bytes:
    """Return the whole body. Raises `GatewayError` if the client disconnects or sends more than 10 MB, even without a Content-Length."""
    parts, size, has_more = [], 0, True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            request.notes.append("client disconnected")
            raise GatewayError("BAD_REQUEST_BODY", reason="the client disconnected before the end of the request")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_LIMIT_BYTES:
            raise GatewayError("REQUEST_TOO_LARGE")
        has_more = message.get("more_body", False)
    return b"".join(parts)
