"""The relying party of WebAuthn: the site that passkeys belong to, and the checks of an authenticator's answers.

Its id and origins come from the deployment's parameters, never from a request: a passkey must not follow a forged `Host`. py_webauthn
checks signatures, the hash of the id and the flags; it is imported by the first request that needs it.
"""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.config import JsonDict

from functions.auth.passkeys.errors import InvalidPasskey
from parley.db.accounts.passkeys import Credential
from parley.db.accounts.users import User
from parley.http.schemas import Input

CEREMONY_MS = 300_000
NAME = "Parley"
# ES256, EdDSA and RS256: at least one of them is offered by every authenticator.
ALGORITHMS = (-7, -8, -257)
TRANSPORTS = {"ble", "cable", "hybrid", "internal", "nfc", "smart-card", "usb"}

type BrowserOptions = dict[str, object]

_LOCAL = "localhost"
_DEFAULT_PORTS = {"https": 443, "http": 80}
_NEW: JsonDict = {"id": "AAAA", "type": "public-key", "response": {"clientDataJSON": "e30", "attestationObject": "oA"}}
_SIGNATURE: JsonDict = {"clientDataJSON": "e30", "authenticatorData": "AAAA", "signature": "AAAA", "userHandle": "AAAA"}
_SIGNED: JsonDict = {"id": "AAAA", "type": "public-key", "response": _SIGNATURE}
_BASE64URL = "^[A-Za-z0-9_-]+$"
CredentialId = Annotated[str, Field(max_length=1_400, pattern=_BASE64URL)]
EncodedBytes = Annotated[str, Field(max_length=64_000, pattern=_BASE64URL)]


class _BrowserObject(Input):
    """A part of `PublicKeyCredential.toJSON()`. Browsers add fields to it that no check needs."""

    model_config = ConfigDict(extra="ignore")


class _Attestation(_BrowserObject):
    client_data: EncodedBytes = Field(alias="clientDataJSON")
    attestation_object: EncodedBytes = Field(alias="attestationObject")
    transports: Annotated[tuple[Annotated[str, Field(max_length=50)], ...], Field(max_length=20, strict=False)] = ()


class _Assertion(_BrowserObject):
    client_data: EncodedBytes = Field(alias="clientDataJSON")
    authenticator_data: EncodedBytes = Field(alias="authenticatorData")
    signature: EncodedBytes
    user_handle: EncodedBytes | None = Field(default=None, alias="userHandle")


class NewCredential(_BrowserObject):
    """The browser's answer to a request for a new passkey, as `toJSON()` of its `PublicKeyCredential`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_NEW]})

    id: CredentialId
    type: Literal["public-key"]
    response: _Attestation


class SignedChallenge(_BrowserObject):
    """The browser's answer to a request for a signature, as `toJSON()` of its `PublicKeyCredential`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SIGNED]})

    id: CredentialId
    type: Literal["public-key"]
    response: _Assertion

    @property
    def credential_id(self) -> bytes:
        """The id of the passkey that signed."""
        return decoded(self.id)

    @property
    def user_id(self) -> UUID | None:
        """The account that the authenticator stored with the passkey, or None if it names none."""
        handle = decoded(self.response.user_handle or "")
        return UUID(bytes=handle) if len(handle) == 16 else None


class _ClientData(BaseModel):
    """The parts of the client data (WebAuthn, 5.8.1) that are compared here."""

    challenge: str
    origin: str
    cross_origin: bool = Field(default=False, alias="crossOrigin")


@dataclass(frozen=True, slots=True)
class VerifiedCredential:
    """A new credential that was checked, and whether the authenticator has copied it to other devices."""

    credential: Credential
    is_backed_up: bool


@dataclass(frozen=True, slots=True)
class SignatureUse:
    """A verified signature: the passkey's new count of signatures, and whether it has been copied to other devices."""

    sign_count: int
    is_backed_up: bool


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The domain that passkeys are bound to, and the origins of the pages that may ask for them."""

    id: str
    origins: frozenset[str]

    @classmethod
    def of(cls, id: str, origins: str) -> Self | None:
        """Read the parameters `PasskeyRpId` and `PasskeyOrigins`; without an id there are no passkeys. Raises ValueError."""
        if not id:
            return None
        listed = frozenset(filter(None, (one.strip() for one in origins.split(",")))) or {f"https://{id}"}
        for origin in listed:
            _check_origin(origin, id)
        return cls(id, frozenset(listed))

    def creation_options(self, user: User, challenge: bytes, known: Sequence[Credential]) -> BrowserOptions:
        """Return the options of `navigator.credentials.create`, as JSON: a passkey that verifies its user and can be found by itself."""
        return {
            "rp": {"id": self.id, "name": NAME},
            "user": {"id": encoded(user.id.bytes), "name": user.email, "displayName": user.display_name or user.email},
            "challenge": encoded(challenge),
            "pubKeyCredParams": [{"type": "public-key", "alg": algorithm} for algorithm in ALGORITHMS],
            "timeout": CEREMONY_MS,
            "excludeCredentials": _descriptors(known),
            "authenticatorSelection": {"residentKey": "required", "requireResidentKey": True, "userVerification": "required"},
            "attestation": "none",
        }

    def request_options(self, challenge: bytes, allowed: Sequence[Credential]) -> BrowserOptions:
        """Return the options of `navigator.credentials.get`, as JSON. Without `allowed`, the user chooses among the site's passkeys."""
        return {
            "rpId": self.id,
            "challenge": encoded(challenge),
            "timeout": CEREMONY_MS,
            "allowCredentials": _descriptors(allowed),
            "userVerification": "required",
        }

    def challenge_of(self, client_data: str) -> bytes:
        """Return the challenge that was signed. Raises InvalidPasskey for a page of another origin, or a frame in one."""
        try:
            found = _ClientData.model_validate_json(decoded(client_data))
        except ValidationError as exc:
            raise InvalidPasskey("malformed client data") from exc
        if found.origin not in self.origins or found.cross_origin:
            raise InvalidPasskey("another origin")
        return decoded(found.challenge)

    def verify_new(self, answer: NewCredential, challenge: bytes) -> VerifiedCredential:
        """Check and return a new credential. Raises InvalidPasskey.

        The authenticator's own attestation is dropped, as browsers do if none is asked for: it would say which make the authenticator
        is, which decides nothing here, and its certificates would have to be parsed.
        """
        from webauthn import verify_registration_response
        from webauthn.helpers import encode_cbor, parse_cbor
        from webauthn.helpers.cose import COSEAlgorithmIdentifier

        with _refusing():
            authenticator_data = parse_cbor(decoded(answer.response.attestation_object))["authData"]
            if not isinstance(authenticator_data, bytes):
                raise InvalidPasskey("malformed attestation")
            plain = encode_cbor({"fmt": "none", "attStmt": {}, "authData": authenticator_data})
            response = {"clientDataJSON": answer.response.client_data, "attestationObject": encoded(plain)}
            verified = verify_registration_response(
                credential={"id": answer.id, "rawId": answer.id, "type": answer.type, "response": response},
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=sorted(self.origins),
                require_user_verification=True,
                supported_pub_key_algs=[COSEAlgorithmIdentifier(algorithm) for algorithm in ALGORITHMS],
            )
            if verified.credential_id != decoded(answer.id):
                raise InvalidPasskey("the id is not the authenticator's")
        transports = sorted(TRANSPORTS.intersection(answer.response.transports))
        credential = Credential(verified.credential_id, verified.credential_public_key, verified.sign_count, transports)
        return VerifiedCredential(credential, verified.credential_backed_up)

    def verify_signature(self, answer: SignedChallenge, challenge: bytes, credential: Credential) -> SignatureUse:
        """Check a signature with the passkey's public key. Raises InvalidPasskey. The caller compares the count of signatures."""
        from webauthn import verify_authentication_response

        response = {
            "clientDataJSON": answer.response.client_data,
            "authenticatorData": answer.response.authenticator_data,
            "signature": answer.response.signature,
        }
        with _refusing():
            verified = verify_authentication_response(
                credential={"id": answer.id, "rawId": answer.id, "type": answer.type, "response": response},
                expected_challenge=challenge,
                expected_rp_id=self.id,
                expected_origin=sorted(self.origins),
                credential_public_key=credential.public_key,
                # The database compares the count, so that of two concurrent uses of one count only one is accepted.
                credential_current_sign_count=0,
                require_user_verification=True,
            )
        return SignatureUse(verified.new_sign_count, verified.credential_backed_up)


def encoded(raw: bytes) -> str:
    """Return base64url without padding, as WebAuthn writes bytes in JSON."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Read base64url. Raises InvalidPasskey."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as exc:
        raise InvalidPasskey("not base64url") from exc


def _descriptors(credentials: Sequence[Credential]) -> list[BrowserOptions]:
    return [{"type": "public-key", "id": encoded(one.credential_id), "transports": one.transports} for one in credentials]


def _check_origin(origin: str, id: str) -> None:
    parts = urlsplit(origin)
    host = parts.hostname or ""
    is_secure = parts.scheme == "https" or (parts.scheme == "http" and host == _LOCAL)
    if not is_secure or (host != id and not host.endswith(f".{id}")):
        raise ValueError(f"PasskeyOrigins: {origin} must begin with https:// and name {id} or a host below it")
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    if origin != (sent := f"{parts.scheme}://{host}{port}"):
        raise ValueError(f"PasskeyOrigins: {origin} must be written as browsers send it: {sent}")


@contextmanager
def _refusing() -> Iterator[None]:
    """Raise InvalidPasskey for what py_webauthn refuses. CBOR or a key that is not of the expected form raises Python's own errors."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        yield
    except (WebAuthnException, UnsupportedAlgorithm, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as exc:
        # Only the kind: the sentence may repeat a text of the client.
        raise InvalidPasskey(type(exc).__name__) from exc
