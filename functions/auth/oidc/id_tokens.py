"""ID tokens and logout tokens of issuers, checked as OpenID Connect Core 3.1.3.7 and Back-Channel Logout 2.6 require.

PyJWT checks signatures, times, issuer and audience. Only asymmetric algorithms are accepted, and a key only for the algorithms of its
type, so that neither an unsigned token nor an HMAC with a public key passes.
"""

import base64
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import jwt

from functions.auth.oidc.errors import IssuerAnswerInvalid

type Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
type TokenUse = Literal["login", "logout"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm.__value__)
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
MAX_LETTERS = 16_384
MAX_NAME_LETTERS = 255
LEEWAY_S = 60
# A token is used when it has just been issued.
MAX_AGE_S = 600
_KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC"}
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
# The primes below 167 modulo which 65537 does not generate every residue.
_ROCA_PRIMES = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
_TYPES: dict[TokenUse, frozenset[str]] = {"login": frozenset({"JWT"}), "logout": frozenset({"JWT", "LOGOUT+JWT"})}


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key of an issuer (RFC 7517)."""

    kid: str | None
    jwk: Mapping[str, Any]

    def fits(self, algorithm: Algorithm) -> bool:
        """Return whether the key is of the algorithm's type, and declared for no other algorithm."""
        is_of_type = self.jwk.get("kty") == _KEY_TYPES[algorithm[:2]] and self.jwk.get("crv") == _CURVES.get(algorithm)
        return is_of_type and self.jwk.get("alg", algorithm) == algorithm


def usable_keys(document: Any) -> list[VerificationKey]:
    """Return the keys of a JWK Set that may verify signatures. Raises IssuerAnswerInvalid if this is not a JWK Set."""
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise IssuerAnswerInvalid("the key set is not one")
    public = [key for key in keys if isinstance(key, dict) and key.get("kty") in ("RSA", "EC") and "d" not in key]
    signing = [key for key in public if key.get("use", "sig") == "sig" and "verify" in key.get("key_ops", ["verify"])]
    return [VerificationKey(key.get("kid"), key) for key in signing if not _is_factorable(key)]


def _is_factorable(jwk: Mapping[str, Any]) -> bool:
    """Return whether an RSA key comes from chips whose primes can be computed from the public key (ROCA, CVE-2017-15361).

    Modulo each of these primes, such a modulus is a power of 65537. A sound modulus is so for all of them once in 2^27 times.
    M. Nemec et al., "The Return of Coppersmith's Attack", CCS 2017, section 3.1.
    """
    text = jwk.get("n")
    if not isinstance(text, str):
        return False
    try:
        modulus = int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        return False  # PyJWT refuses it
    return all(modulus % prime in {pow(65537, power, prime) for power in range(prime)} for prime in _ROCA_PRIMES)


type FindIssuerKey = Callable[[str | None, Algorithm], VerificationKey | None]


@dataclass(frozen=True, slots=True)
class TokenRules:
    """The values that a token's claims must have, and how to find the key that signed it."""

    issuer: str
    client_id: str
    find_key: FindIssuerKey


@dataclass(frozen=True, slots=True)
class LogoutToken:
    """The order to end the sessions of a subject, or of one session of the issuer. `id` is unique for the issuer.

    After `expires_at`, the token is refused for its age.
    """

    id: str
    subject: str | None
    issuer_session: str | None
    expires_at: datetime


def verify_id_token(text: str, rules: TokenRules, *, nonce: str, access_token: str | None) -> dict[str, Any]:
    """Return the claims of an ID token, or raise IssuerAnswerInvalid."""
    algorithm, claims = _verified(text, rules, use="login", required=["exp", "iat", "iss", "aud", "sub", "nonce"])
    if not isinstance(claims["nonce"], str) or not hmac.compare_digest(claims["nonce"].encode(), nonce.encode()):
        raise IssuerAnswerInvalid("the ID token has another nonce")
    if "at_hash" in claims:
        _check_access_token(claims["at_hash"], access_token, algorithm)
    return claims


def verify_logout_token(text: str, rules: TokenRules) -> LogoutToken:
    """Return the content of a logout token, or raise IssuerAnswerInvalid."""
    _, claims = _verified(text, rules, use="logout", required=["exp", "iat", "iss", "aud", "jti", "events"])
    if "nonce" in claims:
        raise IssuerAnswerInvalid("a logout token has no nonce")
    events = claims["events"]
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise IssuerAnswerInvalid("the token orders no logout")
    subject, session = claims.get("sub"), claims.get("sid")
    if not (_is_name(subject) or (subject is None and _is_name(session))) or not (session is None or _is_name(session)):
        raise IssuerAnswerInvalid("the logout token names neither a subject nor a session")
    if not _is_name(claims["jti"]):
        raise IssuerAnswerInvalid("jti is not a name")
    return LogoutToken(claims["jti"], subject, session, datetime.fromtimestamp(claims["iat"] + MAX_AGE_S + 2 * LEEWAY_S, UTC))


def _verified(text: str, rules: TokenRules, *, use: TokenUse, required: list[str]) -> tuple[Algorithm, dict[str, Any]]:
    if len(text) > MAX_LETTERS:
        raise IssuerAnswerInvalid("the token is too long")
    try:
        algorithm, kid = _checked_header(jwt.get_unverified_header(text), use)
        key = rules.find_key(kid, algorithm)
        if key is None:
            raise IssuerAnswerInvalid("no key of the issuer has the token's kid")
        claims = jwt.decode(
            text,
            jwt.PyJWK(dict(key.jwk), algorithm=algorithm),
            algorithms=[algorithm],
            audience=rules.client_id,
            issuer=rules.issuer,
            leeway=LEEWAY_S,
            options={"require": required, "enforce_minimum_key_length": True},
        )
    except (jwt.PyJWTError, ValueError, OverflowError) as exc:
        raise IssuerAnswerInvalid(f"token of {rules.issuer}: {type(exc).__name__}") from exc
    _check_parties(claims, rules.client_id)
    _check_times(claims)
    return algorithm, claims


def _checked_header(header: Mapping[str, Any], use: TokenUse) -> tuple[Algorithm, str | None]:
    algorithm = next((one for one in ALGORITHMS if one == header.get("alg")), None)
    if algorithm is None or "crit" in header:
        raise IssuerAnswerInvalid("the token's algorithm or header is not accepted")
    if str(header.get("typ", "JWT")).upper() not in _TYPES[use]:
        raise IssuerAnswerInvalid("the token is of another type")
    return algorithm, header.get("kid")  # PyJWT has refused one that is no text


def _check_parties(claims: Mapping[str, Any], client_id: str) -> None:
    """Refuse further audiences, of which this server trusts none, and a token that was issued to another client."""
    if claims["aud"] not in (client_id, [client_id]):
        raise IssuerAnswerInvalid("the token has further audiences")
    if claims.get("azp", client_id) != client_id:
        raise IssuerAnswerInvalid("the token was issued to another client")
    if "sub" in claims and not _is_name(claims["sub"]):
        raise IssuerAnswerInvalid("sub is not a name")


def _check_times(claims: Mapping[str, Any]) -> None:
    if not all(type(claims[name]) in (int, float) for name in ("iat", "exp")):
        raise IssuerAnswerInvalid("a time is not a number")
    if datetime.now(UTC).timestamp() - claims["iat"] > MAX_AGE_S + LEEWAY_S:
        raise IssuerAnswerInvalid("the token was issued long ago")


def _check_access_token(at_hash: object, access_token: str | None, algorithm: Algorithm) -> None:
    """Check that the access token is the one issued with this ID token (OpenID Connect Core 3.1.3.8)."""
    digest = jwt.get_algorithm_by_name(algorithm).compute_hash_digest((access_token or "").encode())
    expected = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    if access_token is None or not isinstance(at_hash, str) or not hmac.compare_digest(at_hash.encode(), expected):
        raise IssuerAnswerInvalid("the access token is not the ID token's")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME_LETTERS and "\0" not in value
