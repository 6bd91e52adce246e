"""The public halves of our keys, as `/.well-known/jwks.json` shows them and the authorizer reads them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jwt

from parley.errors import Unauthorized

# `signing` keys sign access tokens, `api` keys API keys; neither ever stands in for the other.
type Family = Literal["signing", "api"]
FAMILIES: tuple[Family, ...] = get_args(Family.__value__)
ALGORITHM = "ES256"
_JWS = jwt.PyJWS(algorithms=[ALGORITHM])


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key, its name and what it may vouch for."""

    kid: str
    family: Family
    public: jwt.PyJWK

    def check(self, token: str) -> None:
        """Raise Unauthorized unless this key signed `token`, which `compact.parse` must have let pass."""
        try:
            _JWS.decode(token, self.public, algorithms=[ALGORITHM])
        except jwt.PyJWTError as exc:
            raise Unauthorized(f"not signed by {self.kid}: {exc}") from exc


type FindKey = Callable[[str], VerifyingKey | None]


def read_keys(document: Any) -> dict[str, VerifyingKey]:
    """Read the keys of a set (RFC 7517) that verify tokens of ours, by `kid`; others are left out.

    Raises ValueError if it is no key set, or has none of them.
    """
    try:
        keys = [_read(jwk) for jwk in document["keys"] if may_verify(jwk) and jwk.get("family") in FAMILIES]
    except (LookupError, TypeError, AttributeError, jwt.PyJWTError) as exc:
        raise ValueError(f"no key set: {exc!r}") from exc
    if not keys:
        raise ValueError(f"a key set without a key for {ALGORITHM}")
    return {key.kid: key for key in keys}


def may_verify(jwk: Mapping[str, Any]) -> bool:
    """Whether a key says that it verifies signatures of our algorithm; PyJWT does not look at `use` and `key_ops`."""
    is_ours = (jwk.get("alg"), jwk.get("kty"), jwk.get("crv")) == (ALGORITHM, "EC", "P-256")
    return is_ours and jwk.get("use", "sig") == "sig" and "verify" in jwk.get("key_ops", ["verify"])


def _read(jwk: Mapping[str, Any]) -> VerifyingKey:
    if "d" in jwk:
        raise ValueError("a private key in a public key set")
    return VerifyingKey(str(jwk["kid"]), jwk["family"], jwt.PyJWK(dict(jwk), algorithm=ALGORITHM))
