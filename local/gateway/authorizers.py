"""Lambda authorizers, and API Gateway's cache of their results.

A result is cached for the values of the identity headers, regardless of the route, and the cached policy is applied to every
request. So a policy that allows only the method of the first request denies all other methods until it expires.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from local.gateway.errors import GatewayError
from local.gateway.event import authorizer_event, method_arn
from local.gateway.policy import Grant, PolicyMalformed
from local.gateway.request import GatewayRequest
from local.runtime.fleet import Fleet
from local.runtime.outcome import Failure, HandlerResult
from local.template.stack import Authorizer, Route

_CACHE_SIZE = 10_000


class Authorizers:
    """Decides whether a request may pass, and sets the caller's context for the function."""

    def __init__(
        self, authorizers: Mapping[str, Authorizer], *, fleet: Fleet, stage: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._authorizers = authorizers
        self._fleet = fleet
        self._stage = stage
        self._clock = clock
        self._cache: dict[tuple[str, ...], tuple[float, Grant]] = {}

    async def check(self, request: GatewayRequest, route: Route) -> None:
        """Set the request's authorizer context. Raises `GatewayError` if the request may not pass."""
        if route.authorizer is None:
            return
        authorizer = self._authorizers[route.authorizer]
        identity = tuple(request.header(name) for name in authorizer.identity_headers)
        if not all(identity):
            raise GatewayError("UNAUTHORIZED", reason="an identity header is missing")
        grant, latency_ms = await self._grant(authorizer, (authorizer.name, *identity), request, route)
        arn = method_arn(request, self._stage)
        if grant.denies(arn):
            raise GatewayError("ACCESS_DENIED", message="User is not authorized to access this resource with an explicit deny")
        if not grant.allows(arn):
            raise GatewayError("ACCESS_DENIED", reason=f"no statement of the policy allows {arn}")
        request.authorizer = {**grant.context, "principalId": grant.principal, "integrationLatency": latency_ms}

    async def _grant(self, authorizer: Authorizer, key: tuple[str, ...], request: GatewayRequest, route: Route) -> tuple[Grant, int]:
        now = self._clock()
        expires, cached = self._cache.get(key, (0.0, None))
        if cached and now < expires:
            return cached, 0
        grant = await self._invoke(authorizer, request, route)
        if authorizer.ttl_s > 0:
            self._make_room()
            self._cache[key] = (self._clock() + authorizer.ttl_s, grant)
        return grant, int((self._clock() - now) * 1000)

    async def _invoke(self, authorizer: Authorizer, request: GatewayRequest, route: Route) -> Grant:
        event = authorizer_event(request, route, stage=self._stage)
        outcome = await self._fleet.submit(authorizer.function, event, trace_id=request.trace_id, user=request.caller).outcome
        if isinstance(outcome, Failure) and outcome.message == "Unauthorized":
            raise GatewayError("UNAUTHORIZED")
        if not isinstance(outcome, HandlerResult):
            reason = outcome.message if isinstance(outcome, Failure) else "an authorizer may not stream its result"
            shows_reason = isinstance(outcome, Failure) and outcome.is_init
            raise GatewayError("AUTHORIZER_FAILURE", reason=f"{authorizer.function}: {reason}", shows_reason=shows_reason)
        try:
            return Grant.parse(_parsed_json(outcome.payload))
        except PolicyMalformed as error:
            raise GatewayError("AUTHORIZER_CONFIGURATION_ERROR", reason=f"{authorizer.function}: {error}") from error

    def _make_room(self) -> None:
        if len(self._cache) >= _CACHE_SIZE:
            self._cache.clear()


def _parsed_json(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError as error:
        raise PolicyMalformed("the result is not JSON") from error
