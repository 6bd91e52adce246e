"""A streamed answer on its way from the runtime to whoever waits for it."""

import base64
import binascii
import contextlib

from local.runtime.channel import Channel, Request
from local.runtime.invocation import Invocation
from local.runtime.outcome import Failure

ERROR_TYPE = "lambda-runtime-function-error-type"
_ERROR_BODY = "lambda-runtime-function-error-body"


async def pass_on(request: Request, channel: Channel, invocation: Invocation) -> None:
    """Hand the chunks on as they arrive; error trailers, or a connection that breaks, are the stream's failure."""
    stream = invocation.begin_stream(request.headers.get("content-type", "application/octet-stream"))
    async for chunk in channel.body():
        stream.feed(chunk)
    invocation.end_stream(_trailing_failure(channel.trailers))


def _trailing_failure(trailers: dict[str, str]) -> Failure | None:
    if ERROR_TYPE not in trailers:
        return None
    body = trailers.get(_ERROR_BODY, "")
    with contextlib.suppress(binascii.Error):
        return Failure.reported(base64.b64decode(body, validate=True), trailers[ERROR_TYPE])
    return Failure(trailers[ERROR_TYPE], body)
