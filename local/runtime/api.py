"""The Lambda Runtime API, as one worker sees it on a port of its own.

The calls are those of AWS's documentation ("Using the Lambda runtime API",
version 2018-06-01) and of the runtime clients' sources for streaming.
"""

import asyncio
import contextlib
import json
from typing import Protocol

import h11

from local.runtime.channel import Channel, Request, TooLarge
from local.runtime.invocation import Invocation
from local.runtime.outcome import Failure
from local.runtime.streaming import ERROR_TYPE, pass_on

RESPONSE_LIMIT_BYTES = 6_291_556
_BASE = "/2018-06-01/runtime/"
_MODE = "lambda-runtime-function-response-mode"
_JSON = (("content-type", "application/json"),)


class Host(Protocol):
    """The worker that this API serves."""

    function_arn: str
    timeout_s: float

    async def next_invocation(self) -> Invocation: ...

    def current(self, invocation_id: str) -> Invocation | None: ...

    def answered(self, invocation: Invocation) -> None: ...

    def deadline_ms(self) -> int: ...

    def init_failed(self, failure: Failure) -> None: ...


class RuntimeApi:
    """Serves one worker; its connections live as long as it does."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> str:
        """Listen on a free loopback port and return the address as `host:port`."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    def close(self) -> None:
        if self._server:
            self._server.close()
        for connection in self._connections:
            connection.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel = Channel(reader, writer)
        if task := asyncio.current_task():
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            # A worker may be killed at any point; what that means its process's end tells.
            with contextlib.suppress(ConnectionError, h11.RemoteProtocolError, h11.LocalProtocolError):
                while request := await channel.request():
                    await self._dispatch(request, channel)
        finally:
            channel.close()

    async def _dispatch(self, request: Request, channel: Channel) -> None:
        match request.method, request.target.removeprefix(_BASE).split("/"):
            case "GET", ["invocation", "next"]:
                await self._next(channel)
            case "POST", ["invocation", invocation_id, "response"]:
                await self._response(request, channel, self._host.current(invocation_id))
            case "POST", ["invocation", invocation_id, "error"]:
                await self._error(request, channel, self._host.current(invocation_id))
            case "POST", ["init", "error"]:
                detail = await channel.whole_body(limit=RESPONSE_LIMIT_BYTES)
                self._host.init_failed(Failure.reported(detail, request.headers.get(ERROR_TYPE, "Unhandled")))
                await channel.reply(202, b'{"status":"OK"}', _JSON)
            case _:
                await _drain(channel)
                await channel.reply(404)

    async def _next(self, channel: Channel) -> None:
        await _drain(channel)
        invocation = await self._host.next_invocation()
        headers = (
            *_JSON,
            ("Lambda-Runtime-Aws-Request-Id", invocation.id),
            ("Lambda-Runtime-Deadline-Ms", str(self._host.deadline_ms())),
            ("Lambda-Runtime-Invoked-Function-Arn", self._host.function_arn),
            ("Lambda-Runtime-Trace-Id", invocation.trace_id),
        )
        await channel.reply(200, invocation.payload, headers)

    async def _response(self, request: Request, channel: Channel, invocation: Invocation | None) -> None:
        if invocation is None:
            return await _refuse(channel)
        if request.headers.get(_MODE, "").lower() == "streaming":
            await pass_on(request, channel, invocation)
        else:
            try:
                payload = await channel.whole_body(limit=RESPONSE_LIMIT_BYTES)
            except TooLarge as error:
                invocation.fail(Failure("Function.ResponseSizeTooLarge", f"Response payload size exceeded the maximum: {error}."))
                self._host.answered(invocation)
                return await channel.reply(413, b'{"errorType":"RequestEntityTooLarge"}', _JSON)
            invocation.answer(payload)
        self._host.answered(invocation)
        return await channel.reply(202, b'{"status":"OK"}', _JSON)

    async def _error(self, request: Request, channel: Channel, invocation: Invocation | None) -> None:
        if invocation is None:
            return await _refuse(channel)
        detail = await channel.whole_body(limit=RESPONSE_LIMIT_BYTES)
        invocation.fail(Failure.reported(detail, request.headers.get(ERROR_TYPE, "Unhandled")))
        self._host.answered(invocation)
        return await channel.reply(202, b'{"status":"OK"}', _JSON)


async def _drain(channel: Channel) -> None:
    async for _ in channel.body():
        pass


async def _refuse(channel: Channel) -> None:
    await _drain(channel)
    reason = {"errorType": "InvalidRequestID", "errorMessage": "this invocation is not running here"}
    await channel.reply(400, json.dumps(reason).encode(), _JSON)
