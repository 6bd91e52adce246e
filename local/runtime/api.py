"""The Lambda Runtime API, served to each worker on its own loopback port.

Sources: AWS's documentation ("Using the Lambda runtime API", version 2018-06-01) and, for streaming, the source code of
AWS's runtime clients.
"""

import asyncio
import base64
import binascii
import contextlib
import json
from functools import cache, partial
from typing import Protocol

import h11

from local.peer import is_own_process
from local.request_origin import was_sent_by_page
from local.runtime.http_channel import BodyOverLimit, HttpChannel, RequestHead
from local.runtime.invocation import Invocation
from local.runtime.outcome import Failure

ERROR_TYPE_HEADER = "lambda-runtime-function-error-type"
_ERROR_BODY_TRAILER = "lambda-runtime-function-error-body"
RESPONSE_LIMIT_BYTES = 6_291_556
_BASE = "/2018-06-01/runtime/"
_RESPONSE_MODE_HEADER = "lambda-runtime-function-response-mode"
_JSON_HEADERS = (("content-type", "application/json"),)


class RuntimeHost(Protocol):
    """The worker that the API serves."""

    function_arn: str
    timeout_s: float

    async def next_invocation(self) -> Invocation: ...

    def current(self, invocation_id: str) -> Invocation | None: ...

    def answered(self, invocation: Invocation) -> None: ...

    def deadline_ms(self) -> int: ...

    def init_failed(self, failure: Failure) -> None: ...


class RuntimeApi:
    """Serves one worker until `close`. Requests from web pages and from other users' processes are refused with 403.

    The protocol has no field for a secret: AWS's clients know only the address.
    """

    def __init__(self, host: RuntimeHost) -> None:
        self._host = host
        self._address = ""
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> str:
        """Listen on a free loopback port and return the address as `host:port`."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        self._address = f"{host}:{port}"
        return self._address

    def close(self) -> None:
        if self._server:
            self._server.close()
        for connection in self._connections:
            connection.cancel()

    async def drain(self, within_s: float) -> None:
        """Process what a worker that has ended sent before, for `within_s` at most: a descendant may keep a connection open."""
        if self._connections:
            await asyncio.wait(self._connections, timeout=within_s)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel = HttpChannel(reader, writer)
        if task := asyncio.current_task():
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            # A worker may be killed at any point; the pool learns the reason when the process exits.
            with contextlib.suppress(ConnectionError, h11.RemoteProtocolError, h11.LocalProtocolError):
                is_own = cache(partial(is_own_process, writer.get_extra_info("peername"), writer.get_extra_info("sockname")))
                while request := await channel.request():
                    # An invocation's random id is accepted as a secret: the process that sent it may have ended, so its user is unknown.
                    if self._is_from_runtime(request) and (_names_invocation(request) or is_own()):
                        await self._dispatch(request, channel)
                    else:
                        await _drain_body(channel)
                        await channel.reply(403)
        finally:
            channel.close()

    def _is_from_runtime(self, request: RequestHead) -> bool:
        return request.headers.get("host") == self._address and not was_sent_by_page(request.headers)

    async def _dispatch(self, request: RequestHead, channel: HttpChannel) -> None:
        match request.method, request.target.removeprefix(_BASE).split("/"):
            case "GET", ["invocation", "next"]:
                await self._next(channel)
            case "POST", ["invocation", invocation_id, "response"]:
                await self._response(request, channel, self._host.current(invocation_id))
            case "POST", ["invocation", invocation_id, "error"]:
                await self._error(request, channel, self._host.current(invocation_id))
            case "POST", ["init", "error"]:
                detail = await channel.whole_body(limit=RESPONSE_LIMIT_BYTES)
                self._host.init_failed(Failure.reported(detail, request.headers.get(ERROR_TYPE_HEADER, "Unhandled")))
                await channel.reply(202, b'{"status":"OK"}', _JSON_HEADERS)
            case _:
                await _drain_body(channel)
                await channel.reply(404)

    async def _next(self, channel: HttpChannel) -> None:
        await _drain_body(channel)
        invocation = await self._host.next_invocation()
        headers = (
            *_JSON_HEADERS,
            ("Lambda-Runtime-Aws-Request-Id", invocation.id),
            ("Lambda-Runtime-Deadline-Ms", str(self._host.deadline_ms())),
            ("Lambda-Runtime-Invoked-Function-Arn", self._host.function_arn),
            ("Lambda-Runtime-Trace-Id", invocation.trace_id),
        )
        await channel.reply(200, invocation.payload, headers)

    async def _response(self, request: RequestHead, channel: HttpChannel, invocation: Invocation | None) -> None:
        if invocation is None:
            return await _refuse_unknown_id(channel)
        if request.headers.get(_RESPONSE_MODE_HEADER, "").lower() == "streaming":
            await relay_stream(request, channel, invocation)
        else:
            try:
                payload = await channel.whole_body(limit=RESPONSE_LIMIT_BYTES)
            except BodyOverLimit as error:
                invocation.fail(Failure("Function.ResponseSizeTooLarge", f"Response payload size exceeded the maximum: {error}."))
                self._host.answered(invocation)
                return await channel.reply(413, b'{"errorType":"RequestEntityTooLarge"}', _JSON_HEADERS)
            invocation.answer(payload)
        self._host.answered(invocation)
        return await channel.reply(202, b'{"status":"OK"}', _JSON_HEADERS)

    async def _error(self, request: RequestHead, channel: HttpChannel, invocation: Invocation | None) -> None:
        if invocation is None:
            return await _refuse_unknown_id(channel)
        detail = await channel.whole_body(limit=RESPONSE_LIMIT_BYTES)
        invocation.fail(Failure.reported(detail, request.headers.get(ERROR_TYPE_HEADER, "Unhandled")))
        self._host.answered(invocation)
        return await channel.reply(202, b'{"status":"OK"}', _JSON_HEADERS)


def _names_invocation(request: RequestHead) -> bool:
    return request.target.removeprefix(_BASE).count("/") == 2


async def _drain_body(channel: HttpChannel) -> None:
    async for _ in channel.body():
        pass


async def _refuse_unknown_id(channel: HttpChannel) -> None:
    await _drain_body(channel)
    reason = {"errorType": "InvalidRequestID", "errorMessage": "this worker does not run the invocation"}
    await channel.reply(400, json.dumps(reason).encode(), _JSON_HEADERS)


async def relay_stream(request: RequestHead, channel: HttpChannel, invocation: Invocation) -> None:
    """Pass the chunks of a response to the invocation's stream as they arrive.

    Error trailers end the stream with a failure. A broken connection raises an exception, and the invocation fails once the
    worker has exited.
    """
    stream = invocation.begin_stream(request.headers.get("content-type", "application/octet-stream"))
    async for chunk in channel.body():
        stream.feed(chunk)
    invocation.end_stream(_trailing_failure(channel.trailers))


def _trailing_failure(trailers: dict[str, str]) -> Failure | None:
    if ERROR_TYPE_HEADER not in trailers:
        return None
    body = trailers.get(_ERROR_BODY_TRAILER, "")
    with contextlib.suppress(binascii.Error):
        return Failure.reported(base64.b64decode(body, validate=True), trailers[ERROR_TYPE_HEADER])
    return Failure(trailers[ERROR_TYPE_HEADER], body)
