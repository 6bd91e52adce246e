"""Reading a request's body within API Gateway's limit."""

from local.gateway.exchange import Exchange
from local.gateway.refusal import Refusal
from local.gateway.wire import Receive

LIMIT_BYTES = 10 * 1024 * 1024


async def read_body(exchange: Exchange, receive: Receive) -> bytes:
    """Return the whole body; raises `Refusal` beyond 10 MB, whatever length was announced."""
    parts, size, has_more = [], 0, True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            exchange.marks.append("client left")
            raise Refusal("BAD_REQUEST_BODY", reason="the client left before its request was whole")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LIMIT_BYTES:
            raise Refusal("REQUEST_TOO_LARGE")
        has_more = message.get("more_body", False)
    return b"".join(parts)
