"""Access tokens: ES256 JWTs that live ten minutes.

The header's `typ` is `at+jwt` (RFC 9068), so that no other token of ours passes for one.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt

from parley.auth.principal import Principal
from parley.auth.signing_keys import SigningKey
from parley.errors import Unauthorized
from parley.ids import new_id

ISSUER, AUDIENCE, TYPE = "parley", "parley-api", "at+jwt"
LIFETIME = timedelta(minutes=10)
LEEWAY_S = 10
_CLAIMS = ["iss", "aud", "sub", "sid", "jti", "scope", "iat", "nbf", "exp"]


def issue_token(user_id: UUID, session_id: UUID, scopes: frozenset[str], *, key: SigningKey, now: datetime) -> str:
    """Sign an access token for a user's session."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(user_id),
        "sid": str(session_id),
        "jti": str(new_id()),
        "scope": " ".join(sorted(scopes)),
        "iat": now,
        "nbf": now,
        "exp": now + LIFETIME,
    }
    return jwt.encode(claims, key.private_key, algorithm="ES256", headers={"kid": key.kid, "typ": TYPE})


def key_id_of(token: str) -> str:
    """Return the `kid` that `token` claims, unverified. Raises Unauthorized if it is no access token of ours."""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as exc:
        raise Unauthorized(f"unreadable token: {exc}") from exc
    kid = header.get("kid")
    if header.get("typ") != TYPE or header.get("alg") != "ES256" or not isinstance(kid, str):
        raise Unauthorized("not an access token by its header")
    return kid


def verify_token(token: str, *, keys: Mapping[str, jwt.PyJWK]) -> dict[str, Any]:
    """Return the claims of a token that one of `keys` (by `kid`) signed and that is valid now.

    Raises Unauthorized otherwise. Whether the session still lives is the database's to say.
    """
    key = keys.get(key_id_of(token))
    if key is None:
        raise Unauthorized("unknown signing key")
    try:
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE, leeway=LEEWAY_S, options={"require": _CLAIMS}
        )
    except jwt.PyJWTError as exc:
        raise Unauthorized(f"invalid token: {exc}") from exc
    Principal.from_claims(claims)
    return claims
