"""The keys that sign our tokens: ES256, named by `kid`, rotated by adding a newer one."""

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from jwt.algorithms import ECAlgorithm

from parley.auth.public_keys import ALGORITHM, KeyFamily
from parley.clock import utc_now
from parley.errors import Unavailable

# Until every authorizer has fetched a new key, the older one signs: 10 s in the auth function's cache and, for an
# authorizer that has just looked for a key nobody knows, 60 s until it may look again.
PUBLICATION_LEAD = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One private key, what it signs and when it was made."""

    kid: str
    family: KeyFamily
    private_key: EllipticCurvePrivateKey
    created_at: datetime

    @classmethod
    def generate(cls, *, now: datetime, family: KeyFamily = "signing") -> Self:
        """Make a new key with a random name."""
        return cls(secrets.token_urlsafe(9), family, generate_private_key(SECP256R1()), now)

    @classmethod
    def from_json(cls, text: str, *, family: KeyFamily = "signing") -> Self:
        """Read what `to_json` wrote; ValueError or KeyError if it is something else."""
        stored = json.loads(text)
        key = serialization.load_pem_private_key(stored["pem"].encode(), password=None)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise ValueError(f"key {stored['kid']!r} is not an elliptic curve key")
        return cls(stored["kid"], family, key, datetime.fromisoformat(stored["created_at"]))

    def to_json(self) -> str:
        """Write the key for storage. It is secret."""
        pem = self.private_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return json.dumps({"kid": self.kid, "pem": pem.decode(), "created_at": self.created_at.isoformat()})

    def public_jwk(self) -> dict[str, str]:
        """Return the public half as a JWK (RFC 7517), with its family as a member of our own."""
        jwk = ECAlgorithm.to_jwk(self.private_key.public_key(), as_dict=True)
        return jwk | {"kid": self.kid, "alg": ALGORITHM, "use": "sig", "family": self.family}

    def signs_from(self) -> datetime:
        """When it begins to sign, unless no other key can."""
        return self.created_at + PUBLICATION_LEAD


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys in force, newest first, and the name of the deployment that issues tokens by them.

    All are published before they sign. `refresh_secret` (32 bytes) derives refresh tokens; only the auth function holds it.
    """

    keys: tuple[SigningKey, ...]
    refresh_secret: bytes
    issuer: str

    @classmethod
    def of(cls, keys: Iterable[SigningKey], *, refresh_secret: bytes, issuer: str) -> Self:
        """Order the keys. At least one for access tokens is needed."""
        ordered = tuple(sorted(keys, key=lambda key: key.created_at, reverse=True))
        if not any(key.family == "signing" for key in ordered):
            raise ValueError("a key ring needs a signing key")
        return cls(ordered, refresh_secret, issuer)

    @property
    def newest(self) -> SigningKey:
        """The key that signs access tokens: the newest that has been published long enough."""
        return self._newest("signing")

    @property
    def newest_api(self) -> SigningKey:
        """The key that signs API keys. Raises Unavailable where `migrate` has not made one yet."""
        return self._newest("api")

    def _newest(self, family: KeyFamily) -> SigningKey:
        keys, now = [key for key in self.keys if key.family == family], utc_now()
        if not keys:
            raise Unavailable(f"key family {family}")
        return next((key for key in keys if key.signs_from() <= now), keys[-1])

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public keys as a JWK set, as /.well-known/jwks.json shows it."""
        return {"keys": [key.public_jwk() for key in self.keys]}
