"""Encryption of small secrets that the database stores and cannot read (AES-256-GCM, NIST SP 800-38D)."""

import secrets
from collections.abc import Callable
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from parley.errors import ParleyError

# The first byte of everything sealed: another form would have another.
_VERSION = b"\x01"
_NONCE_BYTES = 12


class DecryptionFailed(ParleyError):
    """Something was not sealed by this key for this place: another key, another row, or tampered with."""


class TextCipher:
    """Seals texts for one place each, such as a row: put elsewhere, they do not open.

    The key is loaded at the first use and kept: it does not change while a deployment lives.
    """

    def __init__(self, load_key: Callable[[], bytes]) -> None:
        self._load_key = load_key

    def encrypt(self, text: str, *, place: str) -> bytes:
        """Return `text` sealed. Raises Unavailable where the key cannot be read."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, text.encode(), place.encode())

    def decrypt(self, encrypted: bytes, *, place: str) -> str:
        """Return the text. Raises SealBroken, and Unavailable where the key cannot be read."""
        form, nonce, rest = encrypted[:1], encrypted[1 : 1 + _NONCE_BYTES], encrypted[1 + _NONCE_BYTES :]
        try:
            if form != _VERSION:
                raise ValueError("unknown form")
            return self._cipher.decrypt(nonce, rest, place.encode()).decode()
        except (InvalidTag, ValueError) as exc:
            raise DecryptionFailed(f"a seal of {place} does not open") from exc

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(self._load_key())
