"""One-time codes, sent by email to prove that the recipient controls the address.

A code contains its owner's id, so that the owner's rows can be looked up directly, and 128 random bits. Only the hash of the
random bits is stored; a plain SHA-256 is enough because the bits cannot be guessed.
"""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

from parley.errors import InvalidInput

_FORM = re.compile(r"[A-Za-z0-9_-]{43}")
_SECRET_BYTES = 16


class InvalidCode(InvalidInput):
    """The code is wrong, already used or expired; the response does not reveal which."""

    code = "invalid_code"
    public_message = "The code is wrong, already used or expired. Request a new code."

    def __init__(self, evidence: str) -> None:
        super().__init__(self.public_message, loc=("body", "code"))
        self.args = (evidence,)


@dataclass(frozen=True, slots=True)
class OneTimeCode:
    """A code and the user, sign-up or invite it belongs to. `str(code)` is the text to send."""

    owner_id: UUID
    secret: bytes = field(repr=False)

    @classmethod
    def new(cls, owner_id: UUID) -> Self:
        """Make a code with a random secret."""
        return cls(owner_id, secrets.token_bytes(_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a code, ignoring surrounding whitespace. Raises InvalidCode unless it is spelt exactly as `str` writes it."""
        stripped = text.strip()
        if not _FORM.fullmatch(stripped):
            raise InvalidCode("not 43 characters of base64url")
        decoded = base64.urlsafe_b64decode(stripped + "=")
        code = cls(UUID(bytes=decoded[:_SECRET_BYTES]), decoded[_SECRET_BYTES:])
        if str(code) != stripped:
            raise InvalidCode("not canonical base64url")
        return code

    @property
    def hash(self) -> bytes:
        """The SHA-256 of the secret. Only this hash is stored, not the secret."""
        return hashlib.sha256(self.secret).digest()

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(self.owner_id.bytes + self.secret).decode().rstrip("=")
