"""The outermost middleware of every app: request id, body limit, standard headers, one log line, one metric.

Plain ASGI, so that a streamed response passes through chunk by chunk.
"""

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parley.errors import BodyTooLarge, InvalidInput, ParleyError
from parley.http.problems import ErrorResponder, respond_with_problem
from parley.http.schemas import TOO_MANY_VALUES, has_too_many_keys
from parley.observability import begin_log_context, logger, put_metrics
from parley.observability.traces import TRACEPARENT, Span, is_tracing, unit_of_work

STANDARD_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # A response that a browser shows as a document runs and loads nothing. The page and the API description have policies of their own.
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Access-Control-Expose-Headers": "X-Request-Id,Retry-After,X-Conversation-Id,Server-Timing,WWW-Authenticate,X-Should-Retry",
}


# One year, without `includeSubDomains`: the API knows nothing about a custom domain's subdomains. Sent only over HTTPS.
HSTS_HEADER = {"Strict-Transport-Security": "max-age=31536000"}


_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class AllowedOrigins:
    """The origins whose pages may call the API, from the parameter `AllowedOrigin`: `*`, or origins separated by commas."""

    def __init__(self, setting: str) -> None:
        self._origins = [origin.strip().rstrip("/") for origin in setting.split(",") if origin.strip()] or ["*"]

    @property
    def varies(self) -> bool:
        """Whether responses differ by the request's origin."""
        return len(self._origins) > 1

    def header_for(self, origin: str | None) -> str:
        """Return the value of `Access-Control-Allow-Origin` for a request: its origin if it is one of several, else the first."""
        return origin if origin in self._origins and origin else self._origins[0]

    def allows(self, origin: str, *, host: str, address: str) -> bool:
        """Return whether a page of `origin` may call the server at `host`; `address` is the client's.

        With `*`, a server on a loopback address serves only pages of this computer: any other page that reaches it has rebound a
        name in the DNS, which is then the host. A public server is protected by its certificate.
        """
        if "*" not in self._origins:
            return origin in self._origins
        is_on_loopback = _name_of(f"//{host}") in _LOOPBACK or address in _LOOPBACK
        return not is_on_loopback or _name_of(origin) in _LOOPBACK


class RequestMiddleware:
    """Wraps an app whose request bodies arrive in a single message, as Lambda's do."""

    def __init__(
        self, app: ASGIApp, *, body_limit: int, allowed_origins: AllowedOrigins, error_responders: Mapping[str, ErrorResponder]
    ) -> None:
        self._app = app
        self._body_limit = body_limit
        self._error_responders = error_responders
        self._allowed_origins = allowed_origins
        self._headers = STANDARD_HEADERS | ({"Vary": "Origin"} if allowed_origins.varies else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request. Every response has a request id, and no response shows a stack trace."""
        scope["parley.started_s"] = time.perf_counter()
        request_id = scope["parley.request_id"] = _request_id(scope)
        scope["parley.error_responder"] = self._error_responder(scope["path"])
        hsts = HSTS_HEADER if scope["scheme"] == "https" else {}
        origin = self._allowed_origins.header_for(_header(scope, b"origin"))
        sender = _ResponseSender(send, self._headers | hsts | {"Access-Control-Allow-Origin": origin, "X-Request-Id": request_id})
        begin_log_context(request_id)
        with unit_of_work(scope["method"], kind="server", traceparent=_traceparent(scope)) as span:
            await self._respond(scope, receive, sender)
            if is_tracing():
                _describe_request(span, scope, sender.status)

    async def _respond(self, scope: Scope, receive: Receive, sender: "_ResponseSender") -> None:
        error_responder: ErrorResponder = scope["parley.error_responder"]
        try:
            await self._handle(scope, receive, sender)
        except Exception:
            # Starlette raises the exception again after sending an error response. If the response is incomplete, the Lambda runtime
            # must see the exception to report the broken stream.
            if sender.has_started and not sender.is_complete:
                raise
            if not sender.has_started or sender.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                logger.exception("request_crashed")
            if not sender.has_started:
                await error_responder(ParleyError(), scope["parley.request_id"])(scope, receive, sender)
        finally:
            _record_request(scope, sender.status, (time.perf_counter() - scope["parley.started_s"]) * 1000)

    async def _handle(self, scope: Scope, receive: Receive, sender: "_ResponseSender") -> None:
        body = await receive()
        if error := self._refusal(scope, body.get("body", b"")):
            error_responder: ErrorResponder = scope["parley.error_responder"]
            return await error_responder(error, scope["parley.request_id"])(scope, receive, sender)
        _force_json_content_type(scope)
        return await self._app(scope, _replay_body(body, receive), sender)

    def _refusal(self, scope: Scope, body: bytes) -> ParleyError | None:
        """Return the error of a body that is not worth parsing, or None."""
        if len(body) > self._body_limit:
            return BodyTooLarge(len(body), limit=self._body_limit)
        return InvalidInput(TOO_MANY_VALUES) if not _is_multipart(scope) and has_too_many_keys(body) else None

    def _error_responder(self, path: str) -> ErrorResponder:
        return next((responder for prefix, responder in self._error_responders.items() if path.startswith(prefix)), respond_with_problem)


class _ResponseSender:
    """Sends the app's messages with the standard headers added, and records the status and whether the response is complete."""

    def __init__(self, send: Send, headers: Mapping[str, str]) -> None:
        self._send = send
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self.status = 500
        self.has_started = self.is_complete = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.has_started = message["status"], True
            present = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(header for header in self._headers if header[0] not in present)]
        else:
            self.is_complete = not message.get("more_body", False)
        await self._send(message)


def _replay_body(first: Message, receive: Receive) -> Receive:
    messages = [first]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _force_json_content_type(scope: Scope) -> None:
    """Treat every body except multipart as JSON, because `curl -d` sends a form content type.

    This does not enable cross-site request forgery, because a form cannot set the Authorization header.
    """
    others = [header for header in scope["headers"] if header[0] != b"content-type"]
    if not _is_multipart(scope):
        scope["headers"] = [*others, (b"content-type", b"application/json")]


def _is_multipart(scope: Scope) -> bool:
    return any(name == b"content-type" and value.startswith(b"multipart/") for name, value in scope["headers"])


def _request_id(scope: Scope) -> str:
    return str(scope["aws.event"]["requestContext"]["requestId"])


def _traceparent(scope: Scope) -> str | None:
    return _header(scope, TRACEPARENT.encode()) if is_tracing() else None


def _header(scope: Scope, header: bytes) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == header), None)


def _describe_request(span: Span, scope: Scope, status: int) -> None:
    """Set the attributes of OpenTelemetry's conventions for HTTP servers."""
    route = _route_path(scope)
    span.rename(f"{scope['method']} {route}")
    span.set({"http.request.method": scope["method"], "http.route": route, "http.response.status_code": status})
    span.set({"parley.request_id": scope["parley.request_id"]})
    if status >= 500:
        span.fail(str(status))


def _route_path(scope: Scope) -> str:
    route: Any = scope.get("route")
    return str(getattr(route, "path", "unmatched"))


def _record_request(scope: Scope, status: int, duration_ms: float) -> None:
    logger.info("request_completed", method=scope["method"], route=_route_path(scope), status=status, duration_ms=round(duration_ms, 1))
    put_metrics({"RequestMs": round(duration_ms, 1), "ServerErrors": int(status >= 500)})


def _name_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
