"""Refresh tokens: each works once, a repeat within the grace period returns the same successor, and suspected theft ends the session."""

import base64
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tests.functions.auth.refresh_tokens import next_token, refresh
from tests.support.api_gateway import Person, rest_event
from tests.support.concurrency import ROUNDS, DeploymentKeys, TimedRequest, running_client_processes

GRACE = timedelta(seconds=10)


def token_family(auth, person, *, generations=4):
    """Return the first refresh token and its successors, one for each generation."""
    tokens = [person.tokens["refresh_token"]]
    for _ in range(generations):
        tokens.append(next_token(auth, tokens[-1]))
    return tokens


def is_revoked(auth, person, tokens):
    """Return whether the session's access token and all its refresh tokens are refused."""
    refused = [refresh(auth, token).json.get("code") for token in tokens]
    return set(refused) == {"invalid_refresh_token"} and auth.get("/auth/me", as_=person).status == 401


def test_a_refresh_returns_a_new_pair_for_the_same_session(auth, alice):
    answer = refresh(auth, alice.tokens["refresh_token"])
    renewed = Person.of(alice.email, answer.json)

    assert renewed.tokens["refresh_token"] != alice.tokens["refresh_token"]
    assert renewed.claims["sid"] == alice.claims["sid"]
    assert auth.get("/auth/me", as_=renewed).status == 200


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), GRACE])
def test_a_repeated_refresh_within_the_grace_period_returns_the_same_successor(auth, alice, clock, late):
    child = next_token(auth, alice.tokens["refresh_token"])
    clock.shift(late)

    assert next_token(auth, alice.tokens["refresh_token"]) == child
    assert next_token(auth, child) != child


def refresh_received(auth, token, *, ago):
    """Send a refresh token that the gateway received `ago` before now."""
    event = rest_event("POST", "/auth/refresh", {"refresh_token": token}, as_=None, headers={})
    event["requestContext"]["requestTimeEpoch"] = round((datetime.now(UTC) - ago).timestamp() * 1000)
    return auth.invoke(event)


def test_a_repeat_that_waited_longer_than_the_grace_period_returns_the_same_successor(auth, alice, clock):
    child = next_token(auth, alice.tokens["refresh_token"])
    clock.shift(GRACE + timedelta(seconds=15))
    answer = refresh_received(auth, alice.tokens["refresh_token"], ago=timedelta(seconds=15))

    assert (answer.status, answer.json.get("refresh_token")) == (200, child)
    assert next_token(auth, child) != child


@pytest.mark.parametrize(("ago", "status"), [(timedelta(0), 401), (timedelta(seconds=-15), 200)])
def test_a_repeat_counts_from_when_the_gateway_received_it_but_not_from_the_future(auth, alice, clock, ago, status):
    next_token(auth, alice.tokens["refresh_token"])
    clock.shift(GRACE + timedelta(seconds=1 if status == 401 else 0))

    assert refresh_received(auth, alice.tokens["refresh_token"], ago=ago).status == status


def test_the_grace_period_starts_at_the_first_use(auth, alice, clock):
    tokens = token_family(auth, alice, generations=1)
    clock.shift(GRACE)
    next_token(auth, tokens[0])
    clock.shift(timedelta(microseconds=1))

    assert refresh(auth, tokens[0]).status == 401
    assert is_revoked(auth, alice, tokens)


@pytest.mark.parametrize("stolen", range(4))
def test_reuse_of_any_generation_after_the_grace_period_ends_the_session(auth, alice, clock, stolen):
    tokens = token_family(auth, alice)
    clock.shift(GRACE + timedelta(microseconds=1))

    assert refresh(auth, tokens[stolen]).json["code"] == "invalid_refresh_token"
    assert is_revoked(auth, alice, tokens)


@pytest.mark.parametrize("stolen", range(3))
def test_reuse_of_an_older_generation_ends_the_session_immediately(auth, alice, clock, stolen):
    tokens = token_family(auth, alice)

    assert refresh(auth, tokens[stolen]).json["code"] == "invalid_refresh_token"
    assert is_revoked(auth, alice, tokens)


@pytest.mark.parametrize("first", [0, 1])
def test_a_new_process_detects_reuse(client_processes, pooled, auth, first):
    person = Person.registered(client_processes)
    tokens = token_family(client_processes, person)
    from functions.auth.app import services

    with running_client_processes(pooled, DeploymentKeys.of(services.key_ring()), processes=1) as restarted:
        assert refresh(restarted, tokens[first]).status == 401
    assert is_revoked(client_processes, person, tokens)


def test_a_new_process_honours_the_grace_period(client_processes, auth):
    person = Person.registered(client_processes)
    child = next_token(client_processes, person.tokens["refresh_token"])

    assert next_token(auth, person.tokens["refresh_token"]) == child


def test_theft_ends_only_the_stolen_session(auth, alice):
    other = Person.signed_in(auth, alice.email)
    tokens = token_family(auth, alice)
    refresh(auth, tokens[0])

    assert auth.get("/auth/me", as_=other).status == 200
    assert refresh(auth, other.tokens["refresh_token"]).status == 200


def test_a_theft_is_in_the_owners_audit_log(auth, alice):
    other = Person.signed_in(auth, alice.email)
    refresh(auth, token_family(auth, alice)[0])

    assert "refresh_token_reused" in [event["event"] for event in auth.get("/auth/audit", as_=other).json["items"]]


def test_parallel_refreshes_rotate_once(client_processes, postgres):
    for _ in range(ROUNDS):
        person = Person.registered(client_processes)
        call = TimedRequest("POST", "/auth/refresh", {"refresh_token": person.tokens["refresh_token"]})
        answers = client_processes.race([call] * 50)
        stored = postgres.execute(f"SELECT count(*) FROM refresh_tokens WHERE user_id = '{person.id}'", dbname="parley")

        assert [answer.status for answer in answers] == [200] * 50
        assert len({answer.json["refresh_token"] for answer in answers}) == 1
        assert stored == [(2,)]


@pytest.mark.parametrize("text", ["", "prt_", "nonsense", "prt_nonsense", "prt_é", "prt_" + "A" * 64])
def test_a_malformed_or_unknown_refresh_token_is_refused(auth, text):
    assert refresh(auth, text).json["code"] == "invalid_refresh_token"


def test_a_refresh_token_with_a_letter_that_is_not_of_base64_is_refused(auth, alice):
    token = alice.tokens["refresh_token"]

    assert refresh(auth, f"{token[:20]}!{token[20:]}").json["code"] == "invalid_refresh_token"


def test_a_token_with_another_users_id_is_refused(auth, alice, bob):
    raw = base64.urlsafe_b64decode(alice.tokens["refresh_token"].removeprefix("prt_"))
    mixed = "prt_" + base64.urlsafe_b64encode(bob.id.bytes + raw[16:]).decode()

    assert UUID(bytes=raw[:16]) == alice.id
    assert refresh(auth, mixed).status == 401


def test_the_stored_tokens_cannot_be_read_back(auth, alice, postgres):
    secrets = [base64.urlsafe_b64decode(token.removeprefix("prt_"))[16:] for token in token_family(auth, alice)]
    dump = postgres.dump()

    assert not any(secret.hex() in dump or base64.b64encode(secret).decode() in dump for secret in secrets)
