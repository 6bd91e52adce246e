"""What API Gateway says about a request, beyond HTTP itself."""

from collections.abc import Mapping
from typing import Any

from parley.auth.principal import Principal
from parley.clock import utc_now
from parley.errors import Unauthorized


def principal_of(event: Mapping[str, Any]) -> Principal:
    """Return who the authorizer says is calling; headers and bodies have no say.

    Raises Unauthorized where there is no authorizer's context, or where the token has expired since the gateway
    cached the verdict.
    """
    claims = event["requestContext"].get("authorizer")
    if not claims:
        raise Unauthorized("no authorizer context")
    principal = Principal.from_claims(claims)
    if principal.expires_at <= utc_now():
        raise Unauthorized(f"token expired at {principal.expires_at}")
    return principal
