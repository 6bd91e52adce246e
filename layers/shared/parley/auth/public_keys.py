"""The public keys that verify our tokens, as `/.well-known/jwks.json` publishes them and the authorizer reads them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jwt

from parley.errors import Unauthorized

# `signing` keys sign access tokens, `api` keys API keys; neither ever stands in for the other.
type KeyFamily = Literal["signing", "api"]
KEY_FAMILIES: tuple[KeyFamily, ...] = get_args(KeyFamily.__value__)
ALGORITHM = "ES256"
_JWS = jwt.PyJWS(algorithms=[ALGORITHM])


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key, its name and what it may vouch for."""

    kid: str
    family: KeyFamily
    public: jwt.PyJWK

    def check_signature(self, token: str) -> None:
        """Raise Unauthorized unless this key signed `token`, which `compact.parse` must have let pass."""
        try:
            _JWS.decode(token, self.public, algorithms=[ALGORITHM])
        except jwt.PyJWTError as exc:
            raise Unauthorized(f"not signed by {self.kid}: {exc}") from exc


type FindKey = Callable[[str], PublicKey | None]


def parse_jwks(document: Any) -> dict[str, PublicKey]:
    """Read the keys of a set (RFC 7517) that verify tokens of ours, by `kid`; others are left out.

    Raises ValueError if it is no key set, or has none of them.
    """
    try:
        keys = [_parse_jwk(jwk) for jwk in document["keys"] if can_verify(jwk) and jwk.get("family") in KEY_FAMILIES]
    except (LookupError, TypeError, AttributeError, jwt.PyJWTError) as exc:
        raise ValueError(f"no key set: {exc!r}") from exc
    if not keys:
        raise ValueError(f"a key set without a key for {ALGORITHM}")
    return {key.kid: key for key in keys}


def can_verify(jwk: Mapping[str, Any]) -> bool:
    """Whether a key says that it verifies signatures of our algorithm; PyJWT does not look at `use` and `key_ops`."""
    is_ours = (jwk.get("alg"), jwk.get("kty"), jwk.get("crv")) == (ALGORITHM, "EC", "P-256")
    return is_ours and jwk.get("use", "sig") == "sig" and "verify" in jwk.get("key_ops", ["verify"])


def _parse_jwk(jwk: Mapping[str, Any]) -> PublicKey:
    if "d" in jwk:
        raise ValueError("a private key in a public key set")
    return PublicKey(str(jwk["kid"]), jwk["family"], jwt.PyJWK(dict(jwk), algorithm=ALGORITHM))
