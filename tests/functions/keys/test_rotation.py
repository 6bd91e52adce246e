from collections import Counter
from datetime import UTC, datetime, timedelta

import boto3
import pytest
import time_machine
from pydantic import ValidationError

from parley.auth.key_store import ensure_keys, load_keys, load_signing_keys
from parley.auth.signing_keys import PUBLICATION_LEAD

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
MONTH = timedelta(days=30)


@pytest.fixture
def at():
    """Move the clock to a time after the start."""
    with time_machine.travel(START, tick=False) as travelling:
        yield lambda later: travelling.move_to(START + later)


def families(names):
    return Counter(name.split("/")[0] for name in names)


def newest(path):
    return load_keys(path, issuer="i").newest.kid


def kids(path, family="signing"):
    return {key.kid for key in load_signing_keys(path) if key.family == family}


def test_a_rotation_creates_a_key_of_each_family_and_removes_none_in_use(invoke, path, at):
    ensure_keys(path)
    at(MONTH)
    done = invoke({})

    assert (families(done["made"]), done["removed"]) == ({"signing": 1, "api": 1}, [])


def test_the_new_key_signs_two_minutes_later(invoke, path, at):
    ensure_keys(path)
    before = newest(path)
    at(MONTH)
    invoke({})
    assert newest(path) == before
    at(MONTH + PUBLICATION_LEAD)

    assert newest(path) != before


@pytest.mark.parametrize(("later", "is_removed"), [(timedelta(minutes=61), False), (timedelta(minutes=63), True)])
def test_a_key_is_removed_when_its_successor_has_signed_for_an_hour(invoke, path, at, later, is_removed):
    ensure_keys(path)
    first = newest(path)
    at(MONTH)
    invoke({})
    at(MONTH + later)
    invoke({})

    assert (first not in kids(path)) == is_removed


def test_rotations_in_quick_succession_keep_the_signing_key(invoke, path, at):
    ensure_keys(path)
    first = newest(path)
    at(MONTH)
    for _ in range(5):
        invoke({})

    assert newest(path) == first
    assert len(kids(path)) == 6


def test_a_key_that_signed_api_keys_stays_until_the_last_of_them_expires(invoke, path, at):
    ensure_keys(path)
    (first,) = kids(path, "api")
    for month in range(1, 14):
        at(MONTH * month)
        invoke({})
        assert first in kids(path, "api"), month
    at(MONTH + timedelta(days=366, minutes=3))
    invoke({})

    assert first not in kids(path, "api")
    assert len(kids(path)) == 2


def test_an_emergency_leaves_only_the_new_key_which_signs_immediately(invoke, path, at):
    ensure_keys(path)
    at(MONTH)
    invoke({})
    old, api = kids(path), kids(path, "api")
    done = invoke({"emergency": True})

    assert families(done["made"]) == {"signing": 1}
    assert families(done["removed"]) == {"signing": 2}
    assert (kids(path), kids(path, "api")) == ({newest(path)}, api)
    assert newest(path) not in old


def test_an_emergency_can_revoke_api_keys_too(invoke, path, at):
    ensure_keys(path)
    old = kids(path, "api")
    at(MONTH)
    done = invoke({"emergency": True, "api_keys": True})

    assert families(done["made"]) == families(done["removed"]) == {"signing": 1, "api": 1}
    assert kids(path, "api").isdisjoint(old)


@pytest.mark.parametrize("event", [{"emergancy": True}, {"emergency": "true"}, {"emergency": 1}, {"api_keys": True}, [], None, "now"])
def test_an_invalid_event_changes_nothing(invoke, path, event):
    ensure_keys(path)
    before = kids(path)

    with pytest.raises(ValidationError):
        invoke(event)
    assert kids(path) == before


def test_a_rotation_keeps_the_refresh_token_secret(invoke, path):
    ensure_keys(path)
    before = load_keys(path, issuer="i").refresh_secret
    invoke({"emergency": True, "api_keys": True})

    assert load_keys(path, issuer="i").refresh_secret == before


def test_a_rotation_before_the_first_deployment_is_harmless(invoke, path):
    invoke({})

    assert families(ensure_keys(path)) == {"refresh": 1, "sealing": 1}


def test_no_response_contains_private_keys(invoke, path):
    ensure_keys(path)
    stored = boto3.client("ssm").get_parameters_by_path(Path=path, Recursive=True, WithDecryption=True)["Parameters"]

    assert not any(parameter["Value"] in str(invoke({"emergency": True})) for parameter in stored)
