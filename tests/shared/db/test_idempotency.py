"""Claims of idempotency keys: who runs the request, and until when its response is repeated."""

import pytest
from sqlalchemy import event, text

from parley.db import idempotency
from parley.db.idempotency import IdempotentResponse
from parley.db.transactions import global_scope, user_scope

RESPONSE = {"status": 201}


@pytest.fixture
def run(engine):
    """Return a function that runs a step as a user, in its own transaction."""

    def run_step(step, person, *arguments, **options):
        with user_scope(engine, person.id) as connection:
            return step(connection, *arguments, user_id=person.id, **options)

    return run_step


@pytest.fixture
def claim(run):
    """Return a function that claims a key for a person's request."""

    def claim_one(person, key="k", *, route="POST /a", fingerprint=b"f", running_s=None):
        return run(idempotency.claim, person, key, route=route, fingerprint=fingerprint, running_s=running_s)

    return claim_one


@pytest.fixture
def store(run):
    return lambda person, key="k", *, route="POST /a": run(idempotency.store_response, person, key, route=route, response=RESPONSE)


@pytest.fixture
def age(engines, alice):
    """Return a function that moves alice's keys into the past."""

    def move(**columns):
        with engines["owner"].begin() as connection:
            for column, interval in columns.items():
                statement = f"UPDATE idempotency_keys SET {column} = {column} - CAST(:age AS interval) WHERE user_id = :user"
                connection.execute(text(statement), {"age": interval, "user": alice.id})

    return move


def test_a_repeat_gets_the_fingerprint_and_the_response_of_the_first(claim, store, alice):
    assert claim(alice, fingerprint=b"first") is None
    store(alice)

    assert claim(alice, fingerprint=b"second") == IdempotentResponse(b"first", RESPONSE)


def test_another_key_another_route_and_another_user_run_for_themselves(claim, store, alice, bob):
    claim(alice)
    store(alice)

    assert [claim(alice, "other"), claim(alice, route="POST /b"), claim(bob)] == [None] * 3
    assert claim(alice, "other").response is None
    store(alice, "other")
    assert claim(alice, route="POST /b").response is None


@pytest.mark.parametrize(("age_of_key", "is_stored"), [("23 hours", True), ("25 hours", False)])
def test_a_response_is_repeated_for_a_day(claim, store, alice, age, age_of_key, is_stored):
    claim(alice)
    store(alice)
    age(created_at=age_of_key)

    assert claim(alice) == (IdempotentResponse(b"f", RESPONSE) if is_stored else None)


@pytest.mark.parametrize(("running", "is_running"), [("50 seconds", True), ("70 seconds", False)])
def test_a_request_whose_worker_died_may_run_again(claim, alice, age, running, is_running):
    claim(alice, running_s=60)
    age(running_until=running)

    assert claim(alice, running_s=60) == (IdempotentResponse(b"f", None) if is_running else None)


def test_a_request_that_has_ended_does_not_run_again_when_its_time_is_over(claim, store, alice, age):
    claim(alice, running_s=60)
    store(alice)
    age(running_until="70 seconds")

    assert claim(alice).response == RESPONSE


def test_a_claim_without_a_time_is_never_taken_for_a_dead_workers(claim, alice, age):
    claim(alice)
    age(created_at="23 hours")

    assert claim(alice) == IdempotentResponse(b"f", None)


def test_a_request_that_failed_may_run_again_but_one_that_succeeded_does_not(run, claim, store, alice):
    claim(alice)
    run(idempotency.release, alice, "k", route="POST /a")
    assert claim(alice) is None
    store(alice)
    run(idempotency.release, alice, "k", route="POST /a")

    assert claim(alice).response == RESPONSE


def test_a_repeat_runs_if_the_first_request_fails_while_the_repeat_looks_for_its_response(engines, claim, alice):
    releases = []

    def fail_first_request(_connection, _cursor, statement, *_):
        if statement.startswith("INSERT INTO idempotency_keys") and not releases:
            with user_scope(engines["owner"], alice.id) as other:
                releases.append(idempotency.release(other, "k", user_id=alice.id, route="POST /a"))

    claim(alice, running_s=60)
    with user_scope(engines["app"], alice.id) as connection:
        event.listen(connection, "after_cursor_execute", fail_first_request)
        repeat = idempotency.claim(connection, "k", user_id=alice.id, route="POST /a", fingerprint=b"f", running_s=60)

    assert releases
    assert repeat is None
    assert claim(alice, running_s=60) == IdempotentResponse(b"f", None)


def test_the_sweep_of_idempotency_keys_keeps_those_of_the_last_day(engines, alice):
    with engines["owner"].begin() as connection:
        add = (
            "INSERT INTO idempotency_keys (user_id, route, key, fingerprint, created_at) "
            "VALUES (:user, 'chat', :key, 'f', now() - make_interval(hours => :hours))"
        )
        connection.execute(text(add), [{"user": alice.id, "key": f"{hours}", "hours": hours} for hours in (23, 25)])
    with global_scope(engines["background"]) as connection:
        assert idempotency.sweep(connection) >= 1
    with engines["owner"].connect() as connection:
        assert connection.scalars(text("SELECT key FROM idempotency_keys WHERE user_id = :user"), {"user": alice.id}).all() == ["23"]
