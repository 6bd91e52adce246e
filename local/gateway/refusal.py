"""The gateway's own answers, by the types that a template can word."""

from dataclasses import dataclass

# https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
# INTEGRATION_FAILURE is 504 there, but a Lambda proxy integration answers 502.
_DEFAULTS = {
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


class Refusal(Exception):
    """The gateway answers by itself; `reason` is for the developer's terminal, and for the client only if it `tells`."""

    def __init__(self, kind: str, *, reason: str = "", message: str = "", tells: bool = False) -> None:
        self.kind = kind
        self.status, self.error_type, default = _DEFAULTS[kind]
        self.message = message or default
        self.reason = reason
        self.tells = tells
        super().__init__(f"{kind}: {reason or self.message}")


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
