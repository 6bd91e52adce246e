"""The gateway's authorizer events, built by the emulator's code."""

import json
from collections.abc import Mapping
from typing import Any

from local.gateway.event import authorizer_event
from local.gateway.request import GatewayRequest
from local.template.stack import LambdaIntegration, Route

ME_ROUTE = Route(method="GET", path="/auth/me", integration=LambdaIntegration(function="AuthFunction", is_streaming=False, timeout_s=29))


def authorizer_request(route: Route, headers: Mapping[str, str]) -> dict[str, Any]:
    """The REQUEST event for a call of `route` with these headers."""
    sent = [("Host", "api.example.com"), *headers.items()]
    request = GatewayRequest(route.method, route.path, [], sent, peer="192.0.2.7", protocol="HTTP/1.1", port=443)
    event: dict[str, Any] = json.loads(authorizer_event(request, route, stage="prod"))
    return event
