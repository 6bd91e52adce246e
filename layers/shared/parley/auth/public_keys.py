"""The public keys that verify Parley's tokens. `/.well-known/jwks.json` publishes them; the authorizer reads them there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jwt

from parley.errors import Unauthorized

# `signing` keys sign access tokens, `api` keys sign API keys. Neither family is accepted for the other's tokens.
type KeyFamily = Literal["signing", "api"]
KEY_FAMILIES: tuple[KeyFamily, ...] = get_args(KeyFamily.__value__)
ALGORITHM = "ES256"
_JWS = jwt.PyJWS(algorithms=[ALGORITHM])


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key, its key id, and the family of tokens it verifies."""

    kid: str
    family: KeyFamily
    public: jwt.PyJWK

    def check_signature(self, token: str) -> None:
        """Raise Unauthorized unless this key signed `token`, which `jws.parse` must have accepted."""
        try:
            _JWS.decode(token, self.public, algorithms=[ALGORITHM])
        except jwt.PyJWTError as exc:
            raise Unauthorized(f"token is not signed by key {self.kid}: {exc}") from exc


type FindKey = Callable[[str], PublicKey | None]


def parse_jwks(document: Any) -> dict[str, PublicKey]:
    """Return the keys of a JWK Set (RFC 7517) that can verify Parley's tokens, by `kid`. Other keys are skipped.

    Raises ValueError if `document` is not a JWK Set, or if none of its keys can verify Parley's tokens.
    """
    try:
        keys = [_parse_jwk(jwk) for jwk in document["keys"] if can_verify(jwk) and jwk.get("family") in KEY_FAMILIES]
    except (LookupError, TypeError, AttributeError, jwt.PyJWTError) as exc:
        raise ValueError(f"not a valid key set: {exc!r}") from exc
    if not keys:
        raise ValueError(f"key set has no {ALGORITHM} key")
    return {key.kid: key for key in keys}


def can_verify(jwk: Mapping[str, Any]) -> bool:
    """Whether a JWK is declared for verifying ES256 signatures. PyJWT ignores `use` and `key_ops`, so they are checked here."""
    is_es256 = (jwk.get("alg"), jwk.get("kty"), jwk.get("crv")) == (ALGORITHM, "EC", "P-256")
    return is_es256 and jwk.get("use", "sig") == "sig" and "verify" in jwk.get("key_ops", ["verify"])


def _parse_jwk(jwk: Mapping[str, Any]) -> PublicKey:
    if "d" in jwk:
        raise ValueError("key set contains a private key")
    return PublicKey(str(jwk["kid"]), jwk["family"], jwt.PyJWK(dict(jwk), algorithm=ALGORITHM))
