"""The gateway's authorizer: verifies the caller's token, without a database.

It is a plain Lambda handler without FastAPI, because requests wait for its cold start.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from functions.authorizer.jwks import KeySource
from functions.authorizer.policy import policy_for
from parley.auth import api_keys, client_tokens
from parley.auth.access_tokens import verify_token
from parley.auth.api_keys import verify_api_key
from parley.auth.client_tokens import verify_client_token
from parley.errors import Unauthorized
from parley.observability import begin_log_context, logger


class MissingKeyUrl(RuntimeError):
    """The authorizer does not know where the public keys are, so it must not start."""

    def __init__(self) -> None:
        super().__init__("The authorizer cannot find the public keys. Set the parameter JwksUrl, outside of Lambda always.")


@dataclass(frozen=True, slots=True)
class AuthorizerSettings:
    """The settings of the authorizer. Not a Pydantic model, whose import would double this function's cold start."""

    jwks_url: str
    issuer: str
    aws_region: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the environment variables that `template.yaml` and Lambda set. Raises MissingKeyUrl."""
        url, region = environment["PARLEY_JWKS_URL"].strip(), environment.get("AWS_REGION", "")
        if not url and not region:
            raise MissingKeyUrl
        return cls(jwks_url=url, issuer=environment["PARLEY_ISSUER"], aws_region=region)


settings = AuthorizerSettings.from_environment()
keys = KeySource(settings.jwks_url, region=settings.aws_region)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the policy for the caller's token.

    For an invalid token, raises an exception with the message "Unauthorized", which the gateway turns into a 401 response. It turns
    every other exception into a 503 response, for example Unavailable if the public keys cannot be fetched.
    """
    begin_log_context(event["requestContext"]["requestId"])
    try:
        claims = _claims(_token(event), event["requestContext"])
    except Unauthorized as exc:
        logger.info("token_rejected", reason=str(exc))
        raise Exception("Unauthorized") from None
    return policy_for(claims, event["methodArn"])


def _claims(token: str, request_context: Mapping[str, Any]) -> dict[str, Any]:
    verify = verify_token
    if token.startswith(api_keys.PREFIX):
        verify = verify_api_key
    elif token.startswith(client_tokens.PREFIX):
        verify = verify_client_token
    return verify(token, find_key=partial(keys.find, request_context=request_context), issuer=settings.issuer)


def _token(event: Mapping[str, Any]) -> str:
    """Return the bearer token, or the `x-api-key` of Anthropic's clients if there is no `Authorization` header.

    The gateway caches decisions by `Authorization` alone, so beside it no other header may decide.
    """
    headers = {name.lower(): value for name, value in (event["headers"] or {}).items()}
    if "authorization" not in headers:
        return str(headers.get("x-api-key", "")).strip()
    scheme, _, token = headers["authorization"].partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
