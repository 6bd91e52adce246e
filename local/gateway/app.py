"""API Gateway as an ASGI app: from a request to a function's event, and back."""

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from local.gateway import answer
from local.gateway.authorizers import Authorizers
from local.gateway.body import read_body
from local.gateway.event import proxy_event
from local.gateway.exchange import Exchange
from local.gateway.refusal import Refusal, Reply
from local.gateway.responses import Responses
from local.gateway.router import Router
from local.gateway.throttle import Throttling
from local.gateway.wire import Receive, Send, has_left, send_reply, send_stream
from local.runtime.fleet import Fleet
from local.runtime.outcome import Answer, Failure, Outcome, Stream
from local.template.stack import Api, Invocation, Mock, Route

# Lambda takes an event of this size at most, so it is also the most that a route can pass on.
EVENT_LIMIT_BYTES = 6_291_556

type App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class AccessLog(Protocol):
    """Gets one line for each request."""

    def access(self, exchange: Exchange, status: int) -> None: ...

    def crashed(self, exchange: Exchange, error: Exception) -> None: ...


class Gateway:
    """Serves the routes of an API; everything a function did wrong is answered as API Gateway would."""

    def __init__(self, api: Api, *, fleet: Fleet, log: AccessLog) -> None:
        self._api = api
        self._fleet = fleet
        self._log = log
        self._router = Router(api.routes)
        self._throttling = Throttling(is_off=os.environ.get("PARLEY_THROTTLE") == "off")
        self._authorizers = Authorizers(api.authorizers, fleet=fleet, stage=api.stage)
        self._responses = Responses(api.responses, stage=api.stage)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        exchange = Exchange.of(dict(scope))
        try:
            status = await self._serve(exchange, receive, send)
        except Refusal as refusal:
            status = await self._refuse(refusal, exchange, send)
        except Exception as error:
            self._log.crashed(exchange, error)
            status = 500 if exchange.has_begun else await self._refuse(Refusal("INTEGRATION_FAILURE"), exchange, send)
        self._log.access(exchange, status)

    async def _serve(self, exchange: Exchange, receive: Receive, send: Send) -> int:
        found = self._router.find(exchange.method, exchange.path)
        if found is None:
            raise Refusal("MISSING_AUTHENTICATION_TOKEN")
        exchange.route, exchange.path_parameters = route, _ = found
        if not self._throttling.allows(route):
            exchange.marks.append("throttled")
            raise Refusal("THROTTLED")
        await self._authorizers.check(exchange, route)
        body = await read_body(exchange, receive)
        if isinstance(route.integration, Mock):
            mock = route.integration
            return await send_reply(Reply(mock.status, list(mock.headers.items()), mock.body.encode()), exchange, send)
        return await self._invoke(exchange, route, route.integration, body, receive, send)

    async def _invoke(self, exchange: Exchange, route: Route, target: Invocation, body: bytes, receive: Receive, send: Send) -> int:
        event = proxy_event(exchange, route, stage=self._api.stage, body=body, binary_types=self._api.binary_types)
        if len(event) > EVENT_LIMIT_BYTES:
            raise Refusal("REQUEST_TOO_LARGE", reason="the event is larger than Lambda takes (6 MB)")
        ends = asyncio.get_running_loop().time() + target.timeout_s
        outcome = await self._outcome(exchange, target, event, ends)
        if isinstance(outcome, Failure):
            raise Refusal("INTEGRATION_FAILURE", reason=f"{outcome.error_type}: {outcome.message}", tells=outcome.is_init)
        if target.is_streaming:
            return await self._stream(exchange, outcome, ends, receive, send)
        if await has_left(receive):
            exchange.marks.append("client left")
        return await send_reply(self._whole(exchange, outcome), exchange, send)

    async def _outcome(self, exchange: Exchange, target: Invocation, event: bytes, ends: float) -> Outcome:
        """Wait for the function's outcome until the integration's time is up; the function goes on regardless."""
        invocation = self._fleet.submit(target.function, event, trace_id=exchange.trace_id)
        try:
            async with asyncio.timeout_at(ends):
                return await asyncio.shield(invocation.outcome)
        except TimeoutError as error:
            invocation.forget()
            raise Refusal("INTEGRATION_TIMEOUT", reason=f"no answer within {target.timeout_s:g} s") from error

    def _whole(self, exchange: Exchange, outcome: Answer | Stream) -> Reply:
        if isinstance(outcome, Stream):
            outcome.abandon()
            raise Refusal("INTEGRATION_FAILURE", reason="the function streams, and the route does not (ResponseTransferMode)")
        return answer.whole(outcome.payload, accept=exchange.header("Accept"), binary_types=self._api.binary_types)

    async def _stream(self, exchange: Exchange, outcome: Answer | Stream, ends: float, receive: Receive, send: Send) -> int:
        if not isinstance(outcome, Stream):
            raise Refusal("INTEGRATION_FAILURE", reason="the route streams, and the function answered in one piece")
        exchange.marks.append("stream")
        try:
            return await send_stream(outcome, exchange, ends=ends, receive=receive, send=send)
        finally:
            outcome.abandon()

    async def _refuse(self, refusal: Refusal, exchange: Exchange, send: Send) -> int:
        exchange.trouble = refusal.reason
        return await send_reply(self._responses.reply(refusal, exchange), exchange, send)
