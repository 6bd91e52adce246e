"""The keys that sign access tokens: ES256, named by `kid`, rotated by adding a newer one."""

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from jwt.algorithms import ECAlgorithm


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One private key and when it was made."""

    kid: str
    private_key: EllipticCurvePrivateKey
    created_at: datetime

    @classmethod
    def generate(cls, *, now: datetime) -> Self:
        """Make a new key with a random name."""
        return cls(secrets.token_urlsafe(9), generate_private_key(SECP256R1()), now)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote; ValueError or KeyError if it is something else."""
        stored = json.loads(text)
        key = serialization.load_pem_private_key(stored["pem"].encode(), password=None)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise ValueError(f"key {stored['kid']!r} is not an elliptic curve key")
        return cls(stored["kid"], key, datetime.fromisoformat(stored["created_at"]))

    def to_json(self) -> str:
        """Write the key for storage. It is secret."""
        pem = self.private_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return json.dumps({"kid": self.kid, "pem": pem.decode(), "created_at": self.created_at.isoformat()})

    def public_jwk(self) -> dict[str, str]:
        """Return the public half as a JWK (RFC 7517)."""
        jwk = ECAlgorithm.to_jwk(self.private_key.public_key(), as_dict=True)
        return jwk | {"kid": self.kid, "alg": "ES256", "use": "sig"}


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys in force. The newest signs; all of them are published.

    `refresh_secret` (32 bytes) derives refresh tokens; only the auth function holds it.
    """

    keys: tuple[SigningKey, ...]
    refresh_secret: bytes

    @classmethod
    def of(cls, keys: Iterable[SigningKey], *, refresh_secret: bytes) -> Self:
        """Order the keys, newest first. At least one is needed."""
        ordered = tuple(sorted(keys, key=lambda key: key.created_at, reverse=True))
        if not ordered:
            raise ValueError("a key ring needs a key")
        return cls(ordered, refresh_secret)

    @property
    def newest(self) -> SigningKey:
        """The key that signs."""
        return self.keys[0]

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public keys as a JWK set, as /.well-known/jwks.json shows it."""
        return {"keys": [key.public_jwk() for key in self.keys]}
