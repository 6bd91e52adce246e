"""Rotation of the signing keys: new ones first, then away with those that nothing valid was signed by."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from parley.auth.api_keys import MAX_LIFETIME
from parley.auth.key_store import add_key, delete_keys, load_signing_keys
from parley.auth.public_keys import KEY_FAMILIES, KeyFamily
from parley.auth.signing_keys import SigningKey

# How long a key is still published after another has taken over: longer than the last token it signed can live.
KEPT: dict[KeyFamily, timedelta] = {"signing": timedelta(hours=1), "api": MAX_LIFETIME + timedelta(days=1)}


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
    return bool(successors) and min(other.signs_from() for other in successors) + KEPT[key.family] < now
