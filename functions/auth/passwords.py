"""Password policy and Argon2id hashing."""

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from functions.auth.errors import WeakPassword
from functions.auth.password_strength import collapse_repeats, is_guessable, personal_words

MAX_LENGTH = 256
# OWASP's minimum for Argon2id: 19 MiB, two passes, one lane.
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
# The hash of an unknown password. Only its parameters matter: they decide how long a check takes.
DUMMY_HASH = "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}$IbrJFxNkJggVdj3Hpp4gNw$LgZAbSEz1ZIGyhkLDB1Anj7Jk2hBNrjpOqad5+Lj7dE"
# Stored for an account without a password: no hash that a password could match.
NO_PASSWORD = "!"  # noqa: S105 - not a password


class Passwords:
    """Checks, hashes and verifies passwords. Any Unicode is accepted and normalised to NFC."""

    def __init__(self, *, min_length: int, memory_kib: int = MEMORY_KIB, passes: int = PASSES, lanes: int = LANES) -> None:
        self._min_length = min_length
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=lanes)
        self._dummy_hash = DUMMY_HASH.format(memory_kib=memory_kib, passes=passes, lanes=lanes)

    def check(self, password: str, *, email: str | None = None, field: str = "password") -> None:
        """Raise WeakPassword if the password is too short, too long or guessable.

        `email` is the user's address; its parts count as guessable words. `field` names the body field in the error.
        """
        if weakness := self._weakness(_normalised(password), email):
            raise WeakPassword(weakness, field=field)

    def _weakness(self, password: str, email: str | None) -> str | None:
        if len(password) < self._min_length:
            return f"The password needs at least {self._min_length} characters. Try a sentence or a few unusual words."
        if len(password) > MAX_LENGTH:
            return f"The password has more than {MAX_LENGTH} characters. Choose a shorter one."
        if len(collapse_repeats(password)) < self._min_length:
            return "The password repeats a few characters. Choose one without repetition."
        if is_guessable(password, personal=personal_words(email)):
            return "The password consists of a few common words or patterns. Add more unusual words."
        return None

    def hash(self, password: str) -> str:
        """Return the password's Argon2id hash."""
        return self._hasher.hash(_normalised(password))

    def is_right(self, password: str, password_hash: str | None) -> bool:
        """Whether the hash matches the password.

        For None (an unknown address) and for an account without a password, return False after the time of a full check.
        """
        known = None if password_hash == NO_PASSWORD else password_hash
        try:
            verified = self._hasher.verify(known or self._dummy_hash, _normalised(password))
        except (VerificationError, InvalidHashError):
            return False
        return verified and known is not None

    def needs_rehash(self, password_hash: str) -> bool:
        """Whether the parameters of the hash differ from the current parameters."""
        return self._hasher.check_needs_rehash(password_hash)


def _normalised(password: str) -> str:
    return unicodedata.normalize("NFC", password)
