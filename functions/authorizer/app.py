"""The gateway's authorizer: who is calling, checked without a database.

A plain handler, since every cold request waits for it first.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from functions.authorizer.jwks import KeySource
from functions.authorizer.policy import policy_for
from parley.auth.access_tokens import verify_token
from parley.auth.api_keys import PREFIX, verify_api_key
from parley.errors import Unauthorized
from parley.observability import logger


@dataclass(frozen=True, slots=True)
class AuthorizerSettings:
    """Not a Pydantic model: its import would double this function's cold start."""

    jwks_url: str
    issuer: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the variables that `template.yaml` sets."""
        return cls(jwks_url=environment["PARLEY_JWKS_URL"], issuer=environment["PARLEY_ISSUER"])


settings = AuthorizerSettings.from_environment()
keys = KeySource(settings.jwks_url)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the policy for the caller's token, or raise "Unauthorized", which the gateway answers with 401.

    Anything else that is raised, such as Unavailable while the keys cannot be had, it answers with 503.
    """
    logger.set_correlation_id(event["requestContext"]["requestId"])
    try:
        claims = _claims(_bearer_token(event), event["requestContext"])
    except Unauthorized as exc:
        logger.info("refused", reason=str(exc))
        raise Exception("Unauthorized") from None
    return policy_for(claims, event["methodArn"])


def _claims(token: str, request_context: Mapping[str, Any]) -> dict[str, Any]:
    verify = verify_api_key if token.startswith(PREFIX) else verify_token
    return verify(token, find_key=partial(keys.find, request_context=request_context), issuer=settings.issuer)


def _bearer_token(event: Mapping[str, Any]) -> str:
    headers = {name.lower(): value for name, value in (event["headers"] or {}).items()}
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
