"""A `requests` adapter that calls the functions with the event that the gateway would send."""

import io
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from local.gateway.event import proxy_event
from local.gateway.request import GatewayRequest
from local.gateway.router import RouteMatcher
from local.template.stack import LambdaIntegration, Stack
from tests.support.api_gateway import Function, Person

BASE_URL = "http://api.example.com"


class RouteNotFound(Exception):
    """The request has no route, so the gateway itself would respond."""


class FunctionAdapter(HTTPAdapter):
    """Calls a stack's functions, guarded operations as an authorized user, each time from a different address.

    `functions` are keyed by their names in the template. `newcomer` creates a user or an admin; a new one replaces a user
    whose session a request has ended.
    """

    def __init__(self, stack: Stack, functions: Mapping[str, Function], newcomer: Callable[[bool], Person]) -> None:
        super().__init__()
        self._stack, self._functions, self._newcomer = stack, functions, newcomer
        self._router, self._numbers = RouteMatcher(stack.api.routes), count(1)
        self._callers: dict[bool, Person] = {}

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Call the function of the request's route. Raises `RouteNotFound` if there is none."""
        exchange = GatewayRequest.of(_scope(request, peer=f"2001:db8:{next(self._numbers):x}::1"))
        found = self._router.find(exchange.method, exchange.path)
        if not found or not isinstance(found[0].integration, LambdaIntegration):
            raise RouteNotFound(request.url)
        route, exchange.path_parameters = found
        is_admins = route.path.startswith("/admin/")
        exchange.authorizer = self._caller(is_admins).context() if route.authorizer else None
        event = proxy_event(exchange, route, stage="prod", body=_bytes(request.body), binary_types=self._stack.api.binary_types)
        answer = self._functions[found[0].integration.function].invoke(json.loads(event))
        if route.authorizer and answer.status == HTTPStatus.UNAUTHORIZED:
            del self._callers[is_admins]
        raw = HTTPResponse(io.BytesIO(answer.body), headers=answer.headers, status=answer.status, preload_content=False)
        return self.build_response(request, raw)

    def _caller(self, is_admin: bool) -> Person:
        return self._callers.get(is_admin) or self._callers.setdefault(is_admin, self._newcomer(is_admin))


def _scope(request: requests.PreparedRequest, *, peer: str) -> dict[str, Any]:
    url = urlsplit(str(request.url))
    headers = {"host": url.netloc, **request.headers}
    return {
        "method": str(request.method),
        "path": url.path,
        "raw_path": url.path.encode(),
        "query_string": url.query.encode(),
        "headers": [(name.lower().encode(), _bytes(value)) for name, value in headers.items()],
        "client": (peer, 0),
        "http_version": "1.1",
        "scheme": "https",
    }


def _bytes(text: str | bytes | None) -> bytes:
    return text.encode() if isinstance(text, str) else text or b""
