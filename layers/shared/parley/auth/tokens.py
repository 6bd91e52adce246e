"""Tokens that Parley signs and later verifies: ES256 JWTs (RFC 7519), restricted as RFC 8725 recommends.

Each kind of token has its own header `typ`, family of keys and maximum lifetime, so no kind is accepted as another.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt

from parley.auth import jws
from parley.auth.public_keys import ALGORITHM, FindKey, KeyFamily
from parley.auth.signing_keys import SigningKey
from parley.errors import Unauthorized

AUDIENCE = "parley-api"
LEEWAY_S = 10
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TIME_CLAIMS = ("iat", "nbf", "exp")
_TEXT_CLAIMS = ("iss", "aud", "scope")


@dataclass(frozen=True, slots=True)
class TokenKind:
    """The properties that distinguish one kind of token. `ids` are its claims that contain a UUID, `audience` is its `aud`."""

    typ: str
    family: KeyFamily
    ids: frozenset[str]
    max_lifetime: timedelta
    audience: str = AUDIENCE


def sign(kind: TokenKind, claims: Mapping[str, Any], *, key: SigningKey) -> str:
    """Sign `claims` as a token of this kind."""
    if key.family != kind.family:
        raise ValueError(f"a key of the family {key.family!r} cannot sign {kind.typ}")
    return jwt.encode({"aud": kind.audience, **claims}, key.private_key, algorithm=ALGORITHM, headers={"kid": key.kid, "typ": kind.typ})


def verify(kind: TokenKind, text: str, *, find_key: FindKey, issuer: str) -> dict[str, Any]:
    """Return the claims of a token. Raises Unauthorized unless it is of this kind, was issued by `issuer`, and is valid now.

    `find_key` is called only for a well-formed header, and claims are read only after the signature is checked.
    """
    token = jws.parse(text)
    key = find_key(_key_id(kind, token.header))
    if key is None or key.family != kind.family:
        raise Unauthorized(f"no key of the family {kind.family!r} has the token's kid")
    key.check_signature(text)
    _check_claims(kind, text, issuer=issuer)
    # Parse the payload again, strictly: PyJWT accepts duplicate names and NaN.
    claims = jws.parse_json_object(token.payload)
    _check_form(claims, kind)
    return claims


def _key_id(kind: TokenKind, header: Mapping[str, str]) -> str:
    kid = header.get("kid", "")
    if (header.get("typ"), header.get("alg")) != (kind.typ, ALGORITHM) or not _KEY_ID.fullmatch(kid):
        raise Unauthorized(f"header is not that of a token of the type {kind.typ}")
    return kid


def _check_claims(kind: TokenKind, text: str, *, issuer: str) -> None:
    """Check that every claim is present and that `iss`, `aud` and the times are valid. The signature must already be checked."""
    required = [*_TIME_CLAIMS, *_TEXT_CLAIMS, *sorted(kind.ids)]
    try:
        jwt.decode(
            text,
            audience=kind.audience,
            issuer=issuer,
            leeway=LEEWAY_S,
            options={
                # `check_signature` has checked the signature. With this check off, PyJWT makes only the checks listed here.
                "verify_signature": False,
                "verify_exp": True,
                "verify_nbf": True,
                "verify_iat": True,
                "verify_aud": True,
                "verify_iss": True,
                "strict_aud": True,
                "require": required,
            },
        )
    except jwt.PyJWTError as exc:
        raise Unauthorized(f"token has an invalid claim: {exc}") from exc


def _check_form(claims: Mapping[str, Any], kind: TokenKind) -> None:
    """Make the checks that PyJWT does not make: integer times, canonical UUIDs, scopes as text, and the maximum lifetime."""
    # `type`, not `isinstance`: True is an int.
    if not all(type(claims[name]) is int for name in _TIME_CLAIMS) or not isinstance(claims["scope"], str):
        raise Unauthorized("token has a claim of the wrong type")
    if not all(_is_id(claims[name]) for name in kind.ids):
        raise Unauthorized("token has an id that is not a canonical UUID")
    if claims["exp"] - claims["iat"] > kind.max_lifetime.total_seconds():
        raise Unauthorized(f"token is valid for longer than {kind.max_lifetime}")


def _is_id(value: object) -> bool:
    try:
        return isinstance(value, str) and str(UUID(value)) == value
    except ValueError:
        return False
