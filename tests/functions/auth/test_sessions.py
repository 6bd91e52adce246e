"""Session lifetimes, measured with a clock that the tests move."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.functions.auth.refresh_tokens import next_token, refresh

IDLE, ABSOLUTE = timedelta(days=30), timedelta(days=180)
MOMENT = timedelta(microseconds=1)


def keep_session_alive(auth, clock, token, until):
    """Refresh every 20 days and move the clock to the given moment."""
    while until - datetime.now(UTC) > timedelta(days=20):
        clock.shift(timedelta(days=20))
        token = next_token(auth, token)
    clock.move_to(until, tick=False)
    return token


@pytest.mark.parametrize(("alone", "status"), [(IDLE - MOMENT, 200), (IDLE, 401)])
def test_a_session_unused_for_thirty_days_ends(auth, clock, alice, alone, status):
    token = next_token(auth, alice.tokens["refresh_token"])
    clock.shift(alone)

    assert refresh(auth, token).status == status


def test_a_refresh_restarts_the_thirty_days(auth, clock, alice):
    token = next_token(auth, alice.tokens["refresh_token"])
    for _ in range(3):
        clock.shift(IDLE - MOMENT)
        token = next_token(auth, token)
    clock.shift(IDLE)

    assert refresh(auth, token).json["code"] == "invalid_refresh_token"


@pytest.mark.parametrize(("before", "status"), [(MOMENT, 200), (timedelta(0), 401)])
def test_refreshing_never_moves_the_end_after_180_days(auth, clock, alice, before, status):
    started = datetime.now(UTC)
    token = keep_session_alive(auth, clock, alice.tokens["refresh_token"], started + ABSOLUTE - before)

    assert refresh(auth, token).status == status


def test_a_refresh_does_not_change_the_stored_end(auth, clock, alice, postgres):
    ends = f"SELECT expires_at FROM sessions WHERE user_id = '{alice.id}'"
    before = postgres.execute(ends, dbname="parley")
    clock.shift(timedelta(days=20))
    next_token(auth, alice.tokens["refresh_token"])

    assert postgres.execute(ends, dbname="parley") == before == [(datetime.now(UTC) - timedelta(days=20) + ABSOLUTE,)]


def test_a_repeated_refresh_within_the_grace_period_does_not_outlive_the_session(auth, clock, alice):
    started = datetime.now(UTC)
    token = keep_session_alive(auth, clock, alice.tokens["refresh_token"], started + ABSOLUTE - timedelta(seconds=5))
    next_token(auth, token)
    clock.shift(5)

    assert refresh(auth, token).status == 401


def test_a_token_of_an_expired_session_is_refused(auth, alice, postgres):
    postgres.execute(f"UPDATE sessions SET expires_at = now() - interval '1 second' WHERE user_id = '{alice.id}'", dbname="parley")

    assert auth.get("/auth/me", as_=alice).status == 401


def test_only_an_admins_session_has_the_scope_of_admins(alice, admin):
    assert ["admin" in person.claims["scope"].split() for person in (alice, admin)] == [False, True]
