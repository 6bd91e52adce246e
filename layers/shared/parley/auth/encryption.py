"""Encryption of small secrets that the database stores but cannot read (AES-256-GCM, NIST SP 800-38D).

`cryptography` is imported with the first secret: most turns need none, and the import takes a tenth of a cold start.
"""

import secrets
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from parley.errors import ParleyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# The first byte of every ciphertext. A new format gets a new number.
_VERSION = b"\x01"
_NONCE_BYTES = 12


class DecryptionFailed(ParleyError):
    """The ciphertext was made with another key or for another context, or was tampered with."""


def key_store_cipher(keys_path: str) -> "TextCipher":
    """Return the cipher whose key is in the Parameter Store, beside the signing keys at `keys_path`."""

    def load_key() -> bytes:
        # Few requests need the key, and the import of the key store takes a tenth of a cold start.
        from parley.auth.key_store import load_encryption_key

        return load_encryption_key(keys_path)

    return TextCipher(load_key)


class TextCipher:
    """Encrypts texts, each bound to a context such as a row's id: a ciphertext copied to another row does not decrypt.

    The context is AES-GCM's associated data: authenticated, not stored. The key is loaded on first use and kept in memory,
    because it never changes within a deployment.
    """

    def __init__(self, load_key: Callable[[], bytes]) -> None:
        self._load_key = load_key

    def encrypt(self, text: str, *, context: str) -> bytes:
        """Return the ciphertext of `text`. Raises Unavailable if the key cannot be read."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, text.encode(), context.encode())

    def decrypt(self, encrypted: bytes, *, context: str) -> str:
        """Return the plaintext. Raises DecryptionFailed, and Unavailable if the key cannot be read."""
        from cryptography.exceptions import InvalidTag

        version, nonce, ciphertext = encrypted[:1], encrypted[1 : 1 + _NONCE_BYTES], encrypted[1 + _NONCE_BYTES :]
        try:
            if version != _VERSION:
                raise ValueError("unknown version")
            return self._cipher.decrypt(nonce, ciphertext, context.encode()).decode()
        except (InvalidTag, ValueError) as exc:
            raise DecryptionFailed(f"cannot decrypt the secret of {context}") from exc

    @cached_property
    def _cipher(self) -> "AESGCM":
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._load_key())
