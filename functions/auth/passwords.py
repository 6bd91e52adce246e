"""Passwords: which are good enough, and how they are kept."""

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from functions.auth.errors import WeakPassword
from functions.auth.password_strength import collapse_repeats, is_guessable, personal_words

MAX_LENGTH = 256
# OWASP's minimum for Argon2id: 19 MiB, two passes, one lane.
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
# A hash that no known password has. Only its parameters decide how long checking it takes.
DUMMY_HASH = "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}$IbrJFxNkJggVdj3Hpp4gNw$LgZAbSEz1ZIGyhkLDB1Anj7Jk2hBNrjpOqad5+Lj7dE"


class Passwords:
    """Checks, hashes and verifies passwords. Any Unicode is welcome; it is normalised to NFC first."""

    def __init__(self, *, min_length: int, memory_kib: int = MEMORY_KIB, passes: int = PASSES, lanes: int = LANES) -> None:
        self._min_length = min_length
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=lanes)
        self._dummy_hash = DUMMY_HASH.format(memory_kib=memory_kib, passes=passes, lanes=lanes)

    def check(self, password: str, *, email: str | None = None, field: str = "password") -> None:
        """Raise WeakPassword, for this field of the body, unless the password may be chosen, by the owner of `email` if that is known."""
        if weakness := self._weakness(_normalised(password), email):
            raise WeakPassword(weakness, field=field)

    def _weakness(self, password: str, email: str | None) -> str | None:
        if len(password) < self._min_length:
            return f"The password needs at least {self._min_length} characters. Try a sentence or a few unusual words."
        if len(password) > MAX_LENGTH:
            return f"The password has more than {MAX_LENGTH} characters. Choose a shorter one."
        if len(collapse_repeats(password)) < self._min_length:
            return "The password repeats the same few characters. Choose one that goes on without repeating itself."
        if is_guessable(password, own=personal_words(email)):
            return "The password is made of a few words or patterns that are guessed first. Add more unusual words."
        return None

    def hash(self, password: str) -> str:
        """Return the password's Argon2id hash."""
        return self._hasher.hash(_normalised(password))

    def is_right(self, password: str, password_hash: str | None) -> bool:
        """Whether the hash is of this password. None (nobody has that address) takes as long as a wrong password."""
        try:
            verified = self._hasher.verify(password_hash or self._dummy_hash, _normalised(password))
        except (VerificationError, InvalidHashError):
            return False
        return verified and password_hash is not None

    def needs_rehash(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)


def _normalised(password: str) -> str:
    return unicodedata.normalize("NFC", password)
