"""API Gateway's own error responses, as the template defines them.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-gatewayResponse-definition.html
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from local.gateway.request import GatewayRequest
from local.template.stack import GatewayResponse

# https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
# INTEGRATION_FAILURE is 504 there, but a Lambda proxy integration answers 502.
_DEFAULT_ERRORS = {
    "ACCESS_DENIED": (403, "AccessDeniedException", "User is not authorized to access this resource"),
    "AUTHORIZER_CONFIGURATION_ERROR": (500, "AuthorizerConfigurationException", "Internal server error"),
    "AUTHORIZER_FAILURE": (500, "AuthorizerFailureException", "Internal server error"),
    "BAD_REQUEST_BODY": (400, "BadRequestException", "Invalid request body"),
    "INTEGRATION_FAILURE": (502, "InternalServerErrorException", "Internal server error"),
    "INTEGRATION_TIMEOUT": (504, "InternalServerErrorException", "Endpoint request timed out"),
    "MISSING_AUTHENTICATION_TOKEN": (403, "MissingAuthenticationTokenException", "Missing Authentication Token"),
    "REQUEST_TOO_LARGE": (413, "RequestTooLargeException", "Request Too Long"),
    "THROTTLED": (429, "TooManyRequestsException", "Too Many Requests"),
    "UNAUTHORIZED": (401, "UnauthorizedException", "Unauthorized"),
}

_AWS_RESPONSE = GatewayResponse(None, {}, '{"message":$context.error.messageString}')
_CONTEXT_VARIABLE = re.compile(r"\$context\.((?:\w+\.)*\w+)")


class GatewayError(Exception):
    """The gateway answers a request with an error. The terminal shows `reason`; the client sees it only with `shows_reason`."""

    def __init__(self, kind: str, *, reason: str = "", message: str = "", shows_reason: bool = False) -> None:
        self.kind = kind
        self.status, self.error_type, default = _DEFAULT_ERRORS[kind]
        self.message = message or default
        self.reason = reason
        self.shows_reason = shows_reason
        super().__init__(f"{kind}: {reason or self.message}")


@dataclass(frozen=True)
class Reply:
    """A buffered response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""


class ErrorResponses:
    """Renders an error by the template's gateway response for its type, else by DEFAULT_4XX or DEFAULT_5XX, else by AWS's default."""

    def __init__(self, templates: Mapping[str, GatewayResponse], *, stage: str) -> None:
        self._templates = templates
        self._stage = stage

    def reply(self, refusal: GatewayError, request: GatewayRequest) -> Reply:
        default = self._templates.get("DEFAULT_5XX" if refusal.status >= 500 else "DEFAULT_4XX", _AWS_RESPONSE)
        response = self._templates.get(refusal.kind, default)
        variables = self._variables(refusal, request)
        headers = {"Content-Type": "application/json", "x-amzn-ErrorType": refusal.error_type}
        headers |= {name: _mapped_header(value, variables, request) for name, value in response.headers.items()}
        template = response.body if response.body is not None else _AWS_RESPONSE.body or ""
        body = _CONTEXT_VARIABLE.sub(lambda match: variables.get(match[1], ""), template)
        if refusal.shows_reason:
            body = _with_reason(body, refusal.reason)
        return Reply(response.status or default.status or refusal.status, list(headers.items()), body.encode())

    def _variables(self, refusal: GatewayError, request: GatewayRequest) -> dict[str, str]:
        return {
            "error.message": refusal.message,
            "error.messageString": json.dumps(refusal.message),
            "error.responseType": refusal.kind,
            "extendedRequestId": request.request_id,
            "httpMethod": request.method,
            "identity.sourceIp": request.peer,
            "path": f"/{self._stage}{request.path}",
            "requestId": request.request_id,
            "resourcePath": request.route.path if request.route else "",
            "stage": self._stage,
        }


def _with_reason(body: str, reason: str) -> str:
    """Return a JSON body with `reason` as its detail or message. AWS never sends the reason."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    field = next((name for name in ("detail", "message") if name in document), None) if isinstance(document, dict) else None
    return json.dumps(document | {field: reason}) if field else body


def _mapped_header(value: str, variables: Mapping[str, str], request: GatewayRequest) -> str:
    """Return the value of a header mapping: `'text'`, `context.…` or `method.request.header.…`."""
    if value.startswith("'"):
        return value[1:-1]
    if value.startswith("context."):
        return variables.get(value.removeprefix("context."), "")
    return request.header(value.removeprefix("method.request.header."))
