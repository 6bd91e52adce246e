"""One-time codes: sent by email to prove that the reader owns the address.

A code contains its owner's id and 128 random bits, so looking it up needs no search over all users. Only the hash of the random part
is stored; a plain SHA-256 is enough for a value that cannot be guessed.
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
    """The code is not one that works, and which of the reasons it is stays with us."""

    code = "invalid_code"
    public_message = "The code is wrong, has been used or has expired."

    def __init__(self, evidence: str) -> None:
        super().__init__(self.public_message, loc=("body", "code"))
        self.args = (evidence,)


@dataclass(frozen=True, slots=True)
class OneTimeCode:
    """Whose code it is (a user, a sign-up or an invite) and its secret; `str` is the text to send."""

    owner_id: UUID
    secret: bytes = field(repr=False)

    @classmethod
    def new(cls, owner_id: UUID) -> Self:
        """Make a code that nobody can guess."""
        return cls(owner_id, secrets.token_bytes(_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a code as somebody has pasted it. Raises InvalidCode if it is none of ours."""
        stripped = text.strip()
        if not _FORM.fullmatch(stripped):
            raise InvalidCode("not in the form of a code")
        decoded = base64.urlsafe_b64decode(stripped + "=")
        code = cls(UUID(bytes=decoded[:_SECRET_BYTES]), decoded[_SECRET_BYTES:])
        if str(code) != stripped:
            raise InvalidCode("a second spelling of a code")
        return code

    @property
    def hash(self) -> bytes:
        """What is stored of it."""
        return hashlib.sha256(self.secret).digest()

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(self.owner_id.bytes + self.secret).decode().rstrip("=")
