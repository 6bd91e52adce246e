"""Writing answers to the client: whole ones, and streams chunk by chunk."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from local.gateway import answer
from local.gateway.exchange import Exchange
from local.gateway.refusal import Refusal, Reply
from local.runtime.outcome import Stream, StreamBroken

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]


async def send_reply(reply: Reply, exchange: Exchange, send: Send) -> int:
    """Send a whole answer and return its status."""
    headers = [*_head(reply, exchange), (b"content-length", str(len(reply.body)).encode())]
    exchange.has_begun = True
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
    return reply.status


async def has_left(receive: Receive) -> bool:
    """Return whether the client has closed the connection, without waiting for it to."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0):
            message = await receive()
            return bool(message["type"] == "http.disconnect")
    return False


async def send_stream(stream: Stream, exchange: Exchange, *, ends: float, receive: Receive, send: Send) -> int:
    """Send a streamed answer as its chunks arrive and return its status.

    After the head is sent there is no status left to say that something broke:
    the connection is closed short of its end, as API Gateway does.
    """
    if stream.content_type != answer.PRELUDE_TYPE:
        raise Refusal("INTEGRATION_FAILURE", reason=f"the stream's content type is {stream.content_type!r}")
    chunks = aiter(stream)
    try:
        async with asyncio.timeout_at(ends):
            reply, first = await answer.prelude(chunks)
    except TimeoutError as error:
        raise Refusal("INTEGRATION_TIMEOUT", reason="no prelude in time") from error
    except StreamBroken as error:
        raise Refusal("INTEGRATION_FAILURE", reason=str(error)) from error
    watch = asyncio.create_task(_watch(stream, exchange, receive))
    exchange.has_begun = True
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": _head(reply, exchange)})
        async with asyncio.timeout_at(ends):
            await _forward(chunks, first, send)
    except (StreamBroken, TimeoutError) as error:
        exchange.marks.append("broken off")
        exchange.trouble = str(error) or "the integration's time was up"
    finally:
        watch.cancel()
    return reply.status


async def _forward(chunks: AsyncIterator[bytes], first: bytes, send: Send) -> None:
    if first:
        await send({"type": "http.response.body", "body": first, "more_body": True})
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _watch(stream: Stream, exchange: Exchange, receive: Receive) -> None:
    """Let go of the stream when the client leaves; the function goes on to its end."""
    while (await receive())["type"] != "http.disconnect":
        pass
    exchange.marks.append("client left")
    stream.abandon()


def _head(reply: Reply, exchange: Exchange) -> list[tuple[bytes, bytes]]:
    ours = [("x-amzn-RequestId", exchange.request_id), ("x-amz-apigw-id", exchange.request_id.replace("-", "")[:15] + "=")]
    return [(name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in [*reply.headers, *ours]]
