"""What API Gateway says about a request, beyond HTTP itself."""

from collections.abc import Mapping
from typing import Any

from parley.auth.origin import MAX_AGENT, Origin
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


def origin_of(event: Mapping[str, Any]) -> Origin:
    """Return where the request comes from: the address that the gateway saw. `X-Forwarded-For` is what clients say."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    agent = headers.get("user-agent", "").replace("\0", "")[:MAX_AGENT] or None
    return Origin(event["requestContext"].get("identity", {}).get("sourceIp") or "unknown", agent)
