"""Tokens that we sign and later believe: ES256 JWTs (RFC 7519), held to the rules of RFC 8725.

Each kind has a header `typ`, a family of keys and a longest life of its own, so that none passes for another.
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
from parley.clock import utc_now
from parley.errors import Unauthorized

AUDIENCE = "parley-api"
LEEWAY_S = 10
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TEXT_CLAIMS, _TIME_CLAIMS = frozenset({"iss", "aud", "scope"}), frozenset({"iat", "nbf", "exp"})


@dataclass(frozen=True, slots=True)
class TokenKind:
    """What sets one kind of token apart; `ids` are the claims that hold a UUID."""

    typ: str
    family: KeyFamily
    ids: frozenset[str]
    max_lifetime: timedelta


def sign(kind: TokenKind, claims: Mapping[str, Any], *, key: SigningKey) -> str:
    """Sign `claims` as a token of this kind."""
    if key.family != kind.family:
        raise ValueError(f"a key of the family {key.family!r} cannot sign {kind.typ}")
    return jwt.encode({"aud": AUDIENCE, **claims}, key.private_key, algorithm=ALGORITHM, headers={"kid": key.kid, "typ": kind.typ})


def verify(kind: TokenKind, text: str, *, find_key: FindKey, issuer: str) -> dict[str, Any]:
    """Return the claims of a token of this kind and issuer that is valid now.

    Raises Unauthorized otherwise; only a well-formed header asks for a key, and only signed claims are read.
    """
    token = jws.parse(text)
    key = find_key(_key_id(kind, token.header))
    if key is None or key.family != kind.family:
        raise Unauthorized(f"no key of the family {kind.family!r} by that name")
    key.check_signature(text)
    claims = jws.json_object(token.payload)
    _check_form(claims, ids=kind.ids)
    _check_audience(claims, issuer=issuer)
    _check_times(claims, max_lifetime=kind.max_lifetime)
    return claims


def _key_id(kind: TokenKind, header: Mapping[str, str]) -> str:
    kid = header.get("kid", "")
    if (header.get("typ"), header.get("alg")) != (kind.typ, ALGORITHM) or not _KEY_ID.fullmatch(kid):
        raise Unauthorized(f"not {kind.typ} by its header")
    return kid


def _check_form(claims: Mapping[str, Any], *, ids: frozenset[str]) -> None:
    if missing := (_TEXT_CLAIMS | _TIME_CLAIMS | ids) - claims.keys():
        raise Unauthorized(f"without {', '.join(sorted(missing))}")
    texts_fit = all(isinstance(claims[name], str) for name in _TEXT_CLAIMS | ids)
    # `type`, not `isinstance`: True is an int.
    if not texts_fit or not all(type(claims[name]) is int for name in _TIME_CLAIMS) or not all(_is_id(claims[name]) for name in ids):
        raise Unauthorized("a claim of the wrong form")


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _check_audience(claims: Mapping[str, Any], *, issuer: str) -> None:
    if (claims["iss"], claims["aud"]) != (issuer, AUDIENCE):
        raise Unauthorized("issued by or for somebody else")


def _check_times(claims: Mapping[str, Any], *, max_lifetime: timedelta) -> None:
    now = utc_now().timestamp()
    if claims["exp"] + LEEWAY_S <= now:
        raise Unauthorized("expired")
    if max(claims["iat"], claims["nbf"]) > now + LEEWAY_S:
        raise Unauthorized("not valid yet")
    if claims["exp"] - claims["iat"] > max_lifetime.total_seconds():
        raise Unauthorized("valid for longer than we ever sign")
