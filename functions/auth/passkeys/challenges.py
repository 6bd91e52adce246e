"""The random challenges that authenticators sign. Each is for one purpose and one account, and works once, for five minutes."""

import hashlib
import secrets
from datetime import timedelta
from typing import Literal
from uuid import UUID

from functions.auth.passkeys.errors import InvalidPasskey
from functions.auth.services import AuthServices
from parley.clock import utc_now
from parley.db.accounts import passkeys
from parley.db.transactions import global_scope

LIFETIME = timedelta(minutes=5)
CHALLENGE_BYTES = 32

type Purpose = Literal["add", "sign_in", "second_step"]


def issue(services: AuthServices, purpose: Purpose, account_id: UUID | None) -> bytes:
    """Return a new challenge. That of a login belongs to no account, because only the passkey will name one."""
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    with global_scope(services.background) as connection:
        passkeys.add_challenge(connection, _hash(challenge, purpose, account_id), expires_at=utc_now() + LIFETIME)
    return challenge


def use(services: AuthServices, challenge: bytes, purpose: Purpose, account_id: UUID | None) -> None:
    """Use up a challenge. Raises InvalidPasskey if it was not issued for this purpose and account, was used before, or has expired."""
    with global_scope(services.background) as connection:
        expires_at = passkeys.take_challenge(connection, _hash(challenge, purpose, account_id))
    if expires_at is None or expires_at <= utc_now():
        raise InvalidPasskey(f"no challenge to {purpose}")


def _hash(challenge: bytes, purpose: Purpose, account_id: UUID | None) -> bytes:
    return hashlib.sha256(f"{purpose} {account_id} ".encode() + challenge).digest()
