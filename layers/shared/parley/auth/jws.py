"""Signed tokens in JWS compact form (RFC 7515), parsed strictly: one spelling for each token, and only the header members that we write.

PyJWT is laxer: it accepts superfluous padding, duplicate members and headers that name their own key. It therefore sees only
tokens that have passed this module.
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
    """A token taken apart. Nothing of it is verified; `payload` is JSON, if it is ours at all."""

    header: dict[str, str]
    payload: bytes


def parse(text: str) -> UnverifiedToken:
    """Take a token apart, or raise Unauthorized if it is not spelt as we spell ours."""
    found = _FORM.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if found is None:
        raise Unauthorized("not a token of three parts")
    header, payload, _ = (_decode_part(part) for part in found.groups())
    members = json_object(header)
    if not members.keys() <= HEADER_MEMBERS or not all(isinstance(value, str) for value in members.values()):
        raise Unauthorized("a header that we do not write")
    return UnverifiedToken(members, payload)


def json_object(text: bytes) -> dict[str, Any]:
    """Read a JSON object in which no name stands twice, or raise Unauthorized."""
    try:
        found = json.loads(text.decode(), object_pairs_hook=_unique_members, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as exc:
        raise Unauthorized(f"not JSON: {exc}") from exc
    if not isinstance(found, dict):
        raise Unauthorized("JSON, but no object")
    return found


def _decode_part(part: str) -> bytes:
    """Decode base64url without padding; bits that no byte needs must be zero, or one token had several spellings."""
    if len(part) % 4 == 1:
        raise Unauthorized("not base64url")
    found = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(found).rstrip(b"=") != part.encode():
        raise Unauthorized("not canonical base64url")
    return found


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")
