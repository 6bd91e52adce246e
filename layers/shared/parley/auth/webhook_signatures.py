"""Secrets and signatures of web hooks, as Standard Webhooks 1.0.0 defines them: https://www.standardwebhooks.com."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

SECRET_PREFIX = "whsec_"  # noqa: S105 - it tells what a secret is for
_SECRET_BYTES = 32


def new_secret() -> str:
    """Return a new secret: `whsec_` and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def secret_context(webhook_id: UUID, *, user_id: UUID) -> str:
    """Return the encryption context of a web hook's secret: the id of its row, so that a copy in another row cannot be decrypted."""
    return f"webhooks/{user_id}/{webhook_id}"


def signed_headers(secrets: Sequence[str], message_id: str, body: str, *, at: datetime) -> dict[str, str]:
    """Return the headers that prove a message's sender. With several secrets, a receiver may know any of them."""
    timestamp = str(int(at.timestamp()))
    signed = f"{message_id}.{timestamp}.{body}".encode()
    signatures = " ".join(_signature(secret, signed) for secret in secrets)
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signatures}


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
