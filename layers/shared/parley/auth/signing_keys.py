"""The private keys that sign tokens: ES256, named by `kid`. Rotation adds a newer key."""

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

# The older key keeps signing until every authorizer can have fetched the new key. That takes up to 10 s in the auth
# function's cache, plus 60 s for an authorizer that has just refetched the keys because of an unknown `kid`.
PUBLICATION_LEAD = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, the family of tokens it signs, and its creation time."""

    kid: str
    family: KeyFamily
    private_key: EllipticCurvePrivateKey
    created_at: datetime

    @classmethod
    def generate(cls, *, now: datetime, family: KeyFamily = "signing") -> Self:
        """Generate a key with a random `kid`."""
        return cls(secrets.token_urlsafe(9), family, generate_private_key(SECP256R1()), now)

    @classmethod
    def from_json(cls, text: str, *, family: KeyFamily = "signing") -> Self:
        """Read the output of `to_json`. Raises ValueError or KeyError for anything else."""
        stored = json.loads(text)
        key = serialization.load_pem_private_key(stored["pem"].encode(), password=None)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise ValueError(f"key {stored['kid']!r} is not an elliptic-curve key")
        return cls(stored["kid"], family, key, datetime.fromisoformat(stored["created_at"]))

    def to_json(self) -> str:
        """Serialize the private key for storage. The result is secret."""
        pem = self.private_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return json.dumps({"kid": self.kid, "pem": pem.decode(), "created_at": self.created_at.isoformat()})

    def public_jwk(self) -> dict[str, str]:
        """Return the public key as a JWK (RFC 7517), with the private member `family`."""
        jwk = ECAlgorithm.to_jwk(self.private_key.public_key(), as_dict=True)
        return jwk | {"kid": self.kid, "alg": ALGORITHM, "use": "sig", "family": self.family}

    def signs_from(self) -> datetime:
        """Return the time from which this key signs. The first key of a family signs immediately."""
        return self.created_at + PUBLICATION_LEAD


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The current signing keys, newest first, and the issuer named in tokens signed with them.

    Every key is published before it signs. Refresh tokens are derived from `refresh_secret` (32 bytes), which only the auth
    function has.
    """

    keys: tuple[SigningKey, ...]
    refresh_secret: bytes
    issuer: str

    @classmethod
    def of(cls, keys: Iterable[SigningKey], *, refresh_secret: bytes, issuer: str) -> Self:
        """Sort the keys into a ring. Raises ValueError if no key signs access tokens."""
        ordered = tuple(sorted(keys, key=lambda key: key.created_at, reverse=True))
        if not any(key.family == "signing" for key in ordered):
            raise ValueError("a key ring needs a signing key")
        return cls(ordered, refresh_secret, issuer)

    @property
    def newest(self) -> SigningKey:
        """The key that signs access tokens: the newest key published for at least `PUBLICATION_LEAD`."""
        return self._newest("signing")

    @property
    def newest_api(self) -> SigningKey:
        """The key that signs API keys. Raises Unavailable if `migrate` has not created one yet."""
        return self._newest("api")

    def _newest(self, family: KeyFamily) -> SigningKey:
        keys = [key for key in self.keys if key.family == family]
        now = utc_now()
        if not keys:
            raise Unavailable(f"key family {family}")
        return next((key for key in keys if key.signs_from() <= now), keys[-1])

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public keys as the JWK Set published at `/.well-known/jwks.json`."""
        return {"keys": [key.public_jwk() for key in self.keys]}
