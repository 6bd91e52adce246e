"""A strict parser for JWS compact serialization (RFC 7515).

Each token has exactly one accepted encoding, and its header may have only the members that Parley writes. PyJWT is laxer: it accepts
superfluous padding, duplicate members and headers that name their own key. Only tokens that pass this parser reach PyJWT.
"""

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

from parley.errors import Unauthorized

MAX_LENGTH = 4096
HEADER_MEMBERS = frozenset({"alg", "kid", "typ"})  # never crit, jwk, jku, x5u, x5c, b64 or zip
_FORM = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A parsed token whose signature has not been checked. `payload` can be any bytes, not only JSON."""

    header: dict[str, str]
    payload: bytes


def parse(text: str) -> UnverifiedToken:
    """Split and decode a token, or raise Unauthorized if it is not in canonical form."""
    match = _FORM.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if match is None:
        raise Unauthorized("token is too long or does not have three base64url parts")
    header, payload, _ = (_decode_part(part) for part in match.groups())
    members = parse_json_object(header)
    if not members.keys() <= HEADER_MEMBERS or not all(isinstance(value, str) for value in members.values()):
        raise Unauthorized("token header has unexpected members")
    return UnverifiedToken(members, payload)


def parse_json_object(text: bytes) -> dict[str, Any]:
    """Parse a JSON object, or raise Unauthorized if it is not an object, repeats a name or contains NaN or Infinity."""
    try:
        value = json.loads(text.decode(), object_pairs_hook=_unique_members, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as exc:
        raise Unauthorized(f"token part is not strict JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise Unauthorized("token part is not a JSON object")
    return value


def _decode_part(part: str) -> bytes:
    """Decode unpadded base64url, or raise Unauthorized. Unused trailing bits must be zero, so each token has one encoding."""
    if len(part) % 4 == 1:
        raise Unauthorized("token part is not base64url")
    decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != part.encode():
        raise Unauthorized("token part is not canonical base64url")
    return decoded


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member name")
    return members


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
