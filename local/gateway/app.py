"""API Gateway as an ASGI app: it turns requests into events and results into responses, and throttles routes by token buckets."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from local.gateway import integration_response
from local.gateway.asgi import Receive, Send, has_disconnected, read_body, send_reply, send_stream, until_disconnected
from local.gateway.authorizers import Authorizers
from local.gateway.errors import ErrorResponses, GatewayError, Reply
from local.gateway.event import proxy_event
from local.gateway.request import GatewayRequest
from local.gateway.router import RouteMatcher
from local.runtime.fleet import Fleet
from local.runtime.invocation import Invocation
from local.runtime.outcome import Failure, HandlerResult, Outcome, Stream
from local.runtime.pool import Pool
from local.template.stack import LambdaIntegration, MockIntegration, RateLimit, RestApi, Route

# The largest event that Lambda accepts, so also the largest that a route can pass on.
EVENT_LIMIT_BYTES = 6_291_556
type App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class _TokenBucket:
    """A bucket that starts full; `now` is in seconds of a monotonic clock."""

    def __init__(self, limit: RateLimit, now: float) -> None:
        self._limit = limit
        self._tokens = float(limit.burst)
        self._at = now

    def take(self, now: float) -> bool:
        refilled = self._tokens + (now - self._at) * self._limit.rate
        self._tokens, self._at = min(float(self._limit.burst), refilled), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class RateLimiter:
    """Limits the requests of each route. With `is_off`, for load tests, every request is allowed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, is_off: bool = False) -> None:
        self._clock = clock
        self._is_off = is_off
        self._buckets: dict[tuple[str, str], _TokenBucket] = {}

    def allows(self, route: Route) -> bool:
        """Take a token from the route's bucket; return False if the bucket is empty."""
        if route.throttle is None or self._is_off:
            return True
        now = self._clock()
        key = (route.method, route.path)
        bucket = self._buckets.setdefault(key, _TokenBucket(route.throttle, now))
        return bucket.take(now)


class AccessLog(Protocol):
    """Logs a line for each request, and the emulator's own errors."""

    def access(self, request: GatewayRequest, status: int) -> None: ...

    def crashed(self, request: GatewayRequest, error: Exception) -> None: ...


class Gateway:
    """Serves the routes of an API and answers a function's errors as API Gateway does."""

    def __init__(self, api: RestApi, *, fleet: Fleet, log: AccessLog) -> None:
        self._api = api
        self._fleet = fleet
        self._log = log
        self._router = RouteMatcher(api.routes)
        self._rate_limiter = RateLimiter(is_off=os.environ.get("PARLEY_THROTTLE") == "off")
        self._authorizers = Authorizers(api.authorizers, fleet=fleet, stage=api.stage)
        self._responses = ErrorResponses(api.responses, stage=api.stage)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        request = GatewayRequest.of(dict(scope))
        try:
            status = await self._serve(request, receive, send)
        except GatewayError as refusal:
            status = await self._refuse(refusal, request, send)
        except Exception as error:
            self._log.crashed(request, error)
            status = 500 if request.has_begun else await self._refuse(GatewayError("INTEGRATION_FAILURE"), request, send)
        self._log.access(request, status)

    async def _serve(self, request: GatewayRequest, receive: Receive, send: Send) -> int:
        match = self._router.find(request.method, request.path)
        if match is None:
            raise GatewayError("MISSING_AUTHENTICATION_TOKEN")
        request.route, request.path_parameters = match
        route = request.route
        if not self._rate_limiter.allows(route):
            request.notes.append("throttled")
            raise GatewayError("THROTTLED")
        await self._authorizers.check(request, route)
        body = await read_body(request, receive)
        if isinstance(route.integration, MockIntegration):
            mock = route.integration
            return await send_reply(Reply(mock.status, list(mock.headers.items()), mock.body.encode()), request, send)
        return await self._invoke(request, route, route.integration, body, receive, send)

    async def _invoke(
        self, request: GatewayRequest, route: Route, target: LambdaIntegration, body: bytes, receive: Receive, send: Send
    ) -> int:
        event = proxy_event(request, route, stage=self._api.stage, body=body, binary_types=self._api.binary_types)
        if len(event) > EVENT_LIMIT_BYTES:
            raise GatewayError("REQUEST_TOO_LARGE", reason="the event exceeds Lambda's limit of 6 MB")
        deadline = asyncio.get_running_loop().time() + target.timeout_s
        outcome = await self._outcome(request, target, event, deadline, receive)
        if isinstance(outcome, Failure):
            raise GatewayError("INTEGRATION_FAILURE", reason=f"{outcome.error_type}: {outcome.message}", shows_reason=outcome.is_init)
        if target.is_streaming:
            return await self._stream(request, outcome, deadline, receive, send)
        if await has_disconnected(receive):
            request.notes.append("client disconnected")
        return await send_reply(self._buffered_reply(request, outcome), request, send)

    async def _outcome(
        self, request: GatewayRequest, target: LambdaIntegration, event: bytes, deadline: float, receive: Receive
    ) -> Outcome:
        """Wait for the function's outcome until `deadline`. After the deadline the function still runs to its end, if it has begun."""
        pool = self._fleet.pools[target.function]
        invocation = self._fleet.submit(target.function, event, trace_id=request.trace_id, user=request.caller)
        watch = asyncio.create_task(_withdraw_without_client(pool, invocation, request, receive)) if pool.is_waiting(invocation) else None
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(invocation.outcome)
        except TimeoutError as error:
            pool.withdraw(invocation, Failure("Throttled", "no worker was free in time"))
            invocation.detach()
            raise GatewayError("INTEGRATION_TIMEOUT", reason=f"the function did not answer within {target.timeout_s:g} s") from error
        finally:
            if watch:
                watch.cancel()
                # Only one task at a time may receive from the client.
                await asyncio.wait([watch])

    def _buffered_reply(self, request: GatewayRequest, outcome: HandlerResult | Stream) -> Reply:
        if isinstance(outcome, Stream):
            outcome.abandon()
            raise GatewayError("INTEGRATION_FAILURE", reason="the function streamed, but the route does not stream (ResponseTransferMode)")
        return integration_response.buffered_reply(outcome.payload, accept=request.header("Accept"), binary_types=self._api.binary_types)

    async def _stream(self, request: GatewayRequest, outcome: HandlerResult | Stream, deadline: float, receive: Receive, send: Send) -> int:
        if not isinstance(outcome, Stream):
            raise GatewayError("INTEGRATION_FAILURE", reason="the route streams, but the function returned a buffered response")
        request.notes.append("stream")
        try:
            return await send_stream(outcome, request, deadline=deadline, receive=receive, send=send)
        finally:
            outcome.abandon()

    async def _refuse(self, refusal: GatewayError, request: GatewayRequest, send: Send) -> int:
        request.error_reason = refusal.reason
        return await send_reply(self._responses.reply(refusal, request), request, send)


async def _withdraw_without_client(pool: Pool, invocation: Invocation, request: GatewayRequest, receive: Receive) -> None:
    """Withdraw a waiting invocation when the client disconnects. On AWS it would not have waited: Lambda refuses what it cannot run."""
    await until_disconnected(receive)
    if pool.withdraw(invocation, Failure("Throttled", "the client disconnected before a worker was free")):
        request.notes.append("client disconnected")
