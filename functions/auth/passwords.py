"""Passwords: which are good enough, and how they are kept."""

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from functions.auth.errors import WeakPassword

MAX_LENGTH = 256
# OWASP's minimum for Argon2id: 19 MiB, two passes, one lane.
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
# The hash of a password that nobody knows, of the same strength, so that checking it takes as long as checking a real one.
DUMMY_HASH = "$argon2id$v=19$m=19456,t=2,p=1$IbrJFxNkJggVdj3Hpp4gNw$LgZAbSEz1ZIGyhkLDB1Anj7Jk2hBNrjpOqad5+Lj7dE"


class Passwords:
    """Checks, hashes and verifies passwords. Any Unicode is welcome; it is normalised to NFC first."""

    def __init__(self, *, min_length: int) -> None:
        self._min_length = min_length
        self._hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)

    def check(self, password: str) -> None:
        """Raise WeakPassword unless the password may be chosen."""
        password = _normalised(password)
        if len(password) < self._min_length:
            raise WeakPassword(f"The password needs at least {self._min_length} characters.")
        if len(set(password)) < 4:
            raise WeakPassword("The password repeats the same few characters.")

    def hash(self, password: str) -> str:
        """Return the password's Argon2id hash."""
        return self._hasher.hash(_normalised(password))

    def is_right(self, password: str, password_hash: str | None) -> bool:
        """Whether the hash is of this password. None (nobody has that address) takes as long as a wrong password."""
        try:
            verified = self._hasher.verify(password_hash or DUMMY_HASH, _normalised(password))
        except (VerificationError, InvalidHashError):
            return False
        return verified and password_hash is not None

    def needs_rehash(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)


def _normalised(password: str) -> str:
    return unicodedata.normalize("NFC", password)
