"""An authenticator with one passkey, and the browser around it. It lies as told: tests replace its parts."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, HAS_CREDENTIAL = 0x01, 0x04, 0x08, 0x10, 0x40


def encoded(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Read base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """A passkey on the page of `origin`. `count` is its count of signatures, which `step` raises; zero counts nothing."""

    origin: str = "https://chat.example.com"
    rp_id: str = "example.com"
    flags: int = PRESENT | VERIFIED
    step: int = 0
    count: int = 0
    algorithm: int = -7
    kind: str = ""
    is_framed: bool | None = False  # None: the browser does not say
    challenge: bytes = b""
    user_handle: bytes | None = None
    attestation: dict[str, Any] = field(default_factory=lambda: {"fmt": "none", "attStmt": {}})
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return what `navigator.credentials.create` answers, as JSON."""
        self.user_handle = decoded(options["user"]["id"])
        attested = bytes(16) + len(self.credential_id).to_bytes(2) + self.credential_id + self._public_key()
        statement = self.attestation | {"authData": self._data(self.flags | HAS_CREDENTIAL) + attested}
        response = {"attestationObject": encoded(cbor2.dumps(statement)), "transports": ["internal", "teleport"]}
        return self._answer(options, "webauthn.create", response)

    def sign(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return what `navigator.credentials.get` answers, as JSON."""
        self.count += self.step
        data = self._data(self.flags)
        answer = self._answer(options, "webauthn.get", {"authenticatorData": encoded(data)})
        signed = data + hashlib.sha256(decoded(answer["response"]["clientDataJSON"])).digest()
        answer["response"]["signature"] = encoded(self.key.sign(signed, ec.ECDSA(SHA256())))
        answer["response"]["userHandle"] = encoded(self.user_handle) if self.user_handle else None
        return answer

    def _answer(self, options: dict[str, Any], kind: str, response: dict[str, Any]) -> dict[str, Any]:
        challenge = encoded(self.challenge) if self.challenge else options["challenge"]
        client = {"type": self.kind or kind, "challenge": challenge, "origin": self.origin}
        client |= {"crossOrigin": self.is_framed} if self.is_framed is not None else {}
        response["clientDataJSON"] = encoded(json.dumps(client).encode())
        id = encoded(self.credential_id)
        return {"id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": {}}

    def _data(self, flags: int) -> bytes:
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4)

    def _public_key(self) -> bytes:
        numbers = self.key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: self.algorithm, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)})
