"""Refresh tokens: opaque, used once, one family for each session.

A token is `prt_` and the base64url of the user's id (16 bytes) with a secret (32 bytes). Only its SHA-256 is stored.
Its child's secret is derived from it with a key of the server, so that a client whose answer got lost can ask again
within the grace period and is given the same child, though nothing but hashes is kept.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from functions.auth.errors import InvalidRefreshToken

PREFIX = "prt_"
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token in the clear."""

    user_id: UUID
    secret: bytes

    @classmethod
    def new(cls, user_id: UUID) -> Self:
        """Make the first of a family."""
        return cls(user_id, secrets.token_bytes(SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a token as clients send it, or raise InvalidRefreshToken."""
        try:
            raw = base64.b64decode(text.removeprefix(PREFIX), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as exc:
            raise InvalidRefreshToken("not base64url") from exc
        if not text.startswith(PREFIX) or len(raw) != 16 + SECRET_BYTES:
            raise InvalidRefreshToken("not of the form of a refresh token")
        return cls(UUID(bytes=raw[:16]), raw[16:])

    def child(self, key: bytes) -> Self:
        """Return the one token that this one may be exchanged for."""
        return type(self)(self.user_id, hmac.digest(key, self.secret, "sha256"))

    @property
    def hash(self) -> bytes:
        """What is stored."""
        return hashlib.sha256(self.secret).digest()

    def __str__(self) -> str:
        return PREFIX + base64.urlsafe_b64encode(self.user_id.bytes + self.secret).decode()
