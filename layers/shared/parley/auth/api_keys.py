"""API keys: ES256 JWTs that are valid for up to a year, with a prefix that secret scanners recognise.

API keys have their own family of signing keys, the `typ` `ak+jwt` and no session. `jti` is the id of the key's database
row, where a revocation is recorded. An API key never has the scopes `account` and `admin`.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from parley.auth.principal import API_KEY_SCOPES, Principal
from parley.auth.public_keys import FindKey
from parley.auth.signing_keys import SigningKey
from parley.auth.tokens import TokenKind, sign, verify
from parley.errors import Unauthorized

PREFIX = "parley_"
MAX_LIFETIME = timedelta(days=365)
API_KEY = TokenKind(typ="ak+jwt", family="api", ids=frozenset({"sub", "jti"}), max_lifetime=MAX_LIFETIME)


def issue_api_key(
    user_id: UUID, key_id: UUID, scopes: frozenset[str], *, expires_at: datetime, key: SigningKey, issuer: str, now: datetime
) -> str:
    """Sign an API key.

    Raises ValueError if an API key may not have `scopes`, or if `expires_at` is in the past or more than 365 days ahead.
    """
    if not scopes <= API_KEY_SCOPES or not now < expires_at <= now + MAX_LIFETIME:
        raise ValueError(f"an API key must not have the scopes {sorted(scopes)} until {expires_at}")
    claims = {
        "iss": issuer,
        "sub": str(user_id),
        "jti": str(key_id),
        "scope": " ".join(sorted(scopes)),
        "iat": now,
        "nbf": now,
        "exp": expires_at,
    }
    return PREFIX + sign(API_KEY, claims, key=key)


def verify_api_key(text: str, *, find_key: FindKey, issuer: str) -> dict[str, Any]:
    """Return the claims of an API key, and the key's id as `api_key_id`.

    Raises Unauthorized unless `issuer` issued the key and it is valid now. Does not check whether the key has been revoked;
    `principal_scope` checks that in the database.
    """
    if not text.startswith(PREFIX):
        raise Unauthorized(f"API key lacks the prefix {PREFIX}")
    claims = verify(API_KEY, text.removeprefix(PREFIX), find_key=find_key, issuer=issuer)
    claims["api_key_id"] = claims["jti"]
    Principal.from_claims(claims)
    return claims
