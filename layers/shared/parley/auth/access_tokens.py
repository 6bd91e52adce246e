"""Access tokens: ES256 JWTs that are valid for ten minutes.

The header's `typ` is `at+jwt` (RFC 9068), so none of Parley's other tokens is accepted as an access token.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from parley.auth.principal import Principal
from parley.auth.public_keys import FindKey
from parley.auth.signing_keys import SigningKey
from parley.auth.tokens import TokenKind, sign, verify
from parley.ids import new_id

LIFETIME = timedelta(minutes=10)
ACCESS_TOKEN = TokenKind(typ="at+jwt", family="signing", ids=frozenset({"sub", "sid", "jti"}), max_lifetime=LIFETIME)


def issue_token(user_id: UUID, session_id: UUID, scopes: frozenset[str], *, key: SigningKey, issuer: str, now: datetime) -> str:
    """Sign an access token for a user's session. `issuer` names this deployment; no other deployment accepts the token."""
    return sign(ACCESS_TOKEN, session_claims(user_id, session_id, scopes, issuer=issuer, now=now), key=key)


def session_claims(user_id: UUID, session_id: UUID, scopes: frozenset[str], *, issuer: str, now: datetime) -> dict[str, Any]:
    """Return the claims of a new token of a session, which is valid for `LIFETIME`."""
    return {
        "iss": issuer,
        "sub": str(user_id),
        "sid": str(session_id),
        "jti": str(new_id()),
        "scope": " ".join(sorted(scopes)),
        "iat": now,
        "nbf": now,
        "exp": now + LIFETIME,
    }


def verify_token(text: str, *, find_key: FindKey, issuer: str) -> dict[str, Any]:
    """Return the claims of an access token. Raises Unauthorized unless `issuer` issued the token and it is valid now.

    Does not check whether the session has ended; `principal_scope` checks that in the database.
    """
    claims = verify(ACCESS_TOKEN, text, find_key=find_key, issuer=issuer)
    Principal.from_claims(claims)
    return claims
