"""Rotation of the signing keys: create new ones first, then delete those that no valid token was signed with."""

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
    """The event; what it leaves out is false."""

    emergency: bool = False
    api_keys: bool = False

    @model_validator(mode="after")
    def _only_in_an_emergency(self) -> Self:
        if self.api_keys and not self.emergency:
            raise ValueError("API keys end only in an emergency: their holders have no other way to get in")
        return self

    @property
    def at_once(self) -> frozenset[KeyFamily]:
        """The families whose older keys must verify nothing any more."""
        named: dict[KeyFamily, bool] = {"signing": self.emergency, "api": self.api_keys}
        return frozenset(family for family, is_named in named.items() if is_named)


# How long a key is still published after another has taken over: longer than the last token it signed can live.
PUBLISHED_AFTER_SUCCESSION: dict[KeyFamily, timedelta] = {"signing": timedelta(hours=1), "api": MAX_LIFETIME + timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class Rotation:
    """The names of the keys that were made and removed."""

    made: list[str]
    removed: list[str]


def rotate(path: str, *, at_once: frozenset[KeyFamily], now: datetime) -> Rotation:
    """Make a new key of each family and remove those that are spent; safe to repeat.

    Of the families in `at_once`, and then of no other, the new key signs at once, since every older one is removed.
    """
    stored = load_signing_keys(path)
    made = [add_key(path, SigningKey.generate(now=now, family=family)) for family in KEY_FAMILIES if not at_once or family in at_once]
    spent = [key for key in stored if key.family in at_once or _is_spent(key, stored, now=now)]
    return Rotation(made, delete_keys(path, spent))


def _is_spent(key: SigningKey, stored: Iterable[SigningKey], *, now: datetime) -> bool:
    """Whether its successor has been signing for so long that nothing this key signed is valid."""
    successors = [other for other in stored if other.family == key.family and other.created_at > key.created_at]
    return bool(successors) and min(other.signs_from() for other in successors) + PUBLISHED_AFTER_SUCCESSION[key.family] < now
