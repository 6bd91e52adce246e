"""Rotation of the signing keys: create new keys, then delete the keys whose tokens have all expired or are revoked."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from pydantic import model_validator

from parley.auth.api_keys import MAX_LIFETIME
from parley.auth.key_store import add_key, delete_keys, load_signing_keys
from parley.auth.public_keys import KEY_FAMILIES, KeyFamily
from parley.auth.signing_keys import SigningKey
from parley.http.schemas import Input


class RotationRequest(Input):
    """The event of the keys function. Both fields default to false."""

    emergency: bool = False
    api_keys: bool = False

    @model_validator(mode="after")
    def _require_emergency_for_api_keys(self) -> Self:
        if self.api_keys and not self.emergency:
            raise ValueError("api_keys requires emergency: it revokes every API key, and their holders have no other access")
        return self

    @property
    def revoked_families(self) -> frozenset[KeyFamily]:
        """The key families whose existing keys must stop verifying tokens."""
        revoked: dict[KeyFamily, bool] = {"signing": self.emergency, "api": self.api_keys}
        return frozenset(family for family, is_revoked in revoked.items() if is_revoked)


# How long a key stays published after its successor starts to sign: longer than the last token that it signed is valid.
PUBLISHED_AFTER_SUCCESSION: dict[KeyFamily, timedelta] = {"signing": timedelta(hours=1), "api": MAX_LIFETIME + timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class Rotation:
    """The names of the created and the deleted keys."""

    made: list[str]
    removed: list[str]


def rotate(path: str, *, revoked_families: frozenset[KeyFamily], now: datetime) -> Rotation:
    """Create a new key of each family and delete the keys that are no longer needed. Safe to repeat.

    If `revoked_families` is not empty, only those families are rotated. All their older keys are deleted, so the new key
    signs immediately.
    """
    stored = load_signing_keys(path)
    families = [family for family in KEY_FAMILIES if not revoked_families or family in revoked_families]
    made = [add_key(path, SigningKey.generate(now=now, family=family)) for family in families]
    expired = [key for key in stored if key.family in revoked_families or _is_expired(key, stored, now=now)]
    return Rotation(made, delete_keys(path, expired))


def _is_expired(key: SigningKey, stored: Iterable[SigningKey], *, now: datetime) -> bool:
    """Whether the key's successor has been signing for so long that every token signed by this key has expired."""
    successors = [other for other in stored if other.family == key.family and other.created_at > key.created_at]
    return bool(successors) and min(other.signs_from() for other in successors) + PUBLISHED_AFTER_SUCCESSION[key.family] < now
