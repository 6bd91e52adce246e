"""The IAM policy that tells API Gateway which routes a token may call.

The gateway caches the policy for the whole stage, so it must be correct for every route, not only for the requested route.
"""

from collections.abc import Mapping
from typing import Any

from parley.auth.client_tokens import AUDIENCE

CONTEXT_CLAIMS = ("sub", "sid", "api_key_id", "scope", "exp")


def policy_for(claims: Mapping[str, Any], method_arn: str) -> dict[str, Any]:
    """Allow the routes of the stage that this token may call, and pass its claims to the functions."""
    stage = stage_of(method_arn)
    statements = [_statement("Allow", f"{stage}/*/*")]
    statements += [_statement("Deny", f"{stage}/*/{area}/*") for area in _denied_areas(claims)]
    if claims.get("aud") == AUDIENCE:  # an MCP client's token
        statements = [_statement("Allow", f"{stage}/POST/mcp")]
    return {
        "principalId": claims["sub"],
        "policyDocument": {"Version": "2012-10-17", "Statement": statements},
        "context": {name: claims[name] for name in CONTEXT_CLAIMS if name in claims},
    }


def _denied_areas(claims: Mapping[str, Any]) -> list[str]:
    """Return the path prefixes denied to the token. An API key cannot reach account or admin routes, even if its owner is an admin."""
    if "api_key_id" in claims:
        return ["admin", "auth"]
    return [] if "admin" in claims["scope"].split() else ["admin"]


def stage_of(method_arn: str) -> str:
    """Return the ARN up to the stage: `arn:aws:execute-api:region:account:api/stage/GET/path` loses `/GET/path`."""
    return "/".join(method_arn.split("/")[:2])


def _statement(effect: str, resource: str) -> dict[str, str]:
    return {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}
