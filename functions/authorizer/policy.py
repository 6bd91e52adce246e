"""What a token's holder may call.

The gateway caches a policy for the whole stage, so it must hold for every route, not only for the one asked first.
"""

from collections.abc import Mapping
from typing import Any

CONTEXT_CLAIMS = ("sub", "sid", "api_key_id", "scope", "exp")


def policy_for(claims: Mapping[str, Any], method_arn: str) -> dict[str, Any]:
    """Allow everything in this stage but what is closed to this token; tell the functions who calls."""
    stage = stage_of(method_arn)
    statements = [_statement("Allow", f"{stage}/*/*")]
    statements += [_statement("Deny", f"{stage}/*/{area}/*") for area in _denied_areas(claims)]
    return {
        "principalId": claims["sub"],
        "policyDocument": {"Version": "2012-10-17", "Statement": statements},
        "context": {name: claims[name] for name in CONTEXT_CLAIMS if name in claims},
    }


def _denied_areas(claims: Mapping[str, Any]) -> list[str]:
    """An API key opens neither its owner's account nor the administration, whoever the owner is."""
    if "api_key_id" in claims:
        return ["admin", "auth"]
    return [] if "admin" in claims["scope"].split() else ["admin"]


def stage_of(method_arn: str) -> str:
    """Cut `arn:aws:execute-api:region:account:api/stage/GET/path` after the stage."""
    return "/".join(method_arn.split("/", 2)[:2])


def _statement(effect: str, resource: str) -> dict[str, str]:
    return {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}
