"""What a token's holder may call.

The gateway caches a policy for the whole stage, so it must hold for every route, not only for the one asked first.
"""

from collections.abc import Mapping
from typing import Any

CONTEXT_CLAIMS = ("sub", "sid", "scope", "exp")


def policy_for(claims: Mapping[str, Any], method_arn: str) -> dict[str, Any]:
    """Allow everything in this stage but, for those who are no admins, `/admin/*`; tell the functions who calls."""
    stage = stage_of(method_arn)
    statements = [_statement("Allow", f"{stage}/*/*")]
    if "admin" not in claims["scope"].split():
        statements.append(_statement("Deny", f"{stage}/*/admin/*"))
    return {
        "principalId": claims["sub"],
        "policyDocument": {"Version": "2012-10-17", "Statement": statements},
        "context": {name: claims[name] for name in CONTEXT_CLAIMS},
    }


def stage_of(method_arn: str) -> str:
    """Cut `arn:aws:execute-api:region:account:api/stage/GET/path` after the stage."""
    return "/".join(method_arn.split("/", 2)[:2])


def _statement(effect: str, resource: str) -> dict[str, str]:
    return {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}
