import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

import pytest

from tests.driving import PASSWORD, Person


@pytest.fixture
def clock(time_machine):
    """Time that a test moves on."""
    time_machine.move_to(datetime.now(UTC), tick=True)
    return time_machine


def refresh(auth, token):
    return auth.post("/auth/refresh", {"refresh_token": token})


def next_token(auth, token):
    answer = refresh(auth, token)
    assert answer.status == 200, answer.body
    return answer.json["refresh_token"]


def is_signed_in(auth, person):
    return auth.get("/auth/me", as_=person).status == 200


def test_a_refresh_gives_another_pair_for_the_same_session(auth, alice):
    answer = refresh(auth, alice.tokens["refresh_token"])
    renewed = Person.of(alice.email, answer.json)

    assert renewed.tokens["refresh_token"] != alice.tokens["refresh_token"]
    assert renewed.claims["sid"] == alice.claims["sid"]
    assert is_signed_in(auth, renewed)


def test_a_repeated_refresh_within_the_grace_gives_the_same_child(auth, alice):
    first, second = (next_token(auth, alice.tokens["refresh_token"]) for _ in range(2))

    assert first == second


def test_reuse_after_the_grace_ends_the_session(auth, alice, clock):
    child = next_token(auth, alice.tokens["refresh_token"])
    clock.shift(11)

    assert refresh(auth, alice.tokens["refresh_token"]).json["code"] == "invalid_refresh_token"
    assert refresh(auth, child).status == 401
    assert not is_signed_in(auth, alice)


def test_reuse_of_a_grandparent_ends_the_session_even_at_once(auth, alice):
    grandchild = next_token(auth, next_token(auth, alice.tokens["refresh_token"]))

    assert refresh(auth, alice.tokens["refresh_token"]).status == 401
    assert refresh(auth, grandchild).status == 401


def test_another_session_survives_the_theft_of_one(auth, alice):
    other = Person.of(alice.email, auth.post("/auth/login", {"email": alice.email, "password": PASSWORD}).json)
    next_token(auth, next_token(auth, alice.tokens["refresh_token"]))
    refresh(auth, alice.tokens["refresh_token"])

    assert is_signed_in(auth, other)


def test_parallel_refreshes_rotate_once(database, environment, alice):
    from functions.auth.app import key_ring
    from functions.auth.sessions import refresh as refresh_session
    from parley.db.engine import make_engine

    def one(_):
        engine = make_engine(database)
        try:
            return refresh_session(engine, key_ring(), alice.tokens["refresh_token"]).refresh_token
        finally:
            engine.dispose()

    with ThreadPoolExecutor(12) as pool:
        assert len(set(pool.map(one, range(24)))) == 1


@pytest.mark.parametrize("days", [31, 181])
def test_a_session_left_alone_ends(auth, alice, clock, days):
    clock.shift(days * 86_400)

    assert refresh(auth, alice.tokens["refresh_token"]).status == 401


def test_a_session_in_use_outlives_its_idle_time(auth, alice, clock):
    token = alice.tokens["refresh_token"]
    for _ in range(3):
        clock.shift(20 * 86_400)
        token = next_token(auth, token)

    assert token


def test_a_session_in_use_ends_after_180_days_all_the_same(auth, alice, clock):
    token = alice.tokens["refresh_token"]
    for _ in range(8):
        clock.shift(20 * 86_400)
        token = next_token(auth, token)
    clock.shift(20 * 86_400)

    assert refresh(auth, token).json["code"] == "invalid_refresh_token"


def test_a_token_of_a_session_past_its_end_opens_nothing(auth, alice, postgres):
    postgres.execute(f"UPDATE sessions SET expires_at = now() - interval '1 second' WHERE user_id = '{alice.id}'", dbname="parley")

    assert not is_signed_in(auth, alice)


@pytest.mark.parametrize("text", ["", "prt_", "nonsense", "prt_nonsense", "prt_é", "prt_" + "A" * 64])
def test_what_is_no_token_of_ours_is_refused(auth, text):
    assert refresh(auth, text).json["code"] == "invalid_refresh_token"


def test_a_token_with_another_users_id_is_refused(auth, alice, bob):
    raw = base64.urlsafe_b64decode(alice.tokens["refresh_token"].removeprefix("prt_"))
    mixed = "prt_" + base64.urlsafe_b64encode(bob.id.bytes + raw[16:]).decode()

    assert UUID(bytes=raw[:16]) == alice.id
    assert refresh(auth, mixed).status == 401


def test_logging_out_ends_this_session_and_no_other(auth, alice):
    other = Person.of(alice.email, auth.post("/auth/login", {"email": alice.email, "password": PASSWORD}).json)
    assert auth.post("/auth/logout", {}, as_=alice).status == 204

    assert not is_signed_in(auth, alice)
    assert refresh(auth, alice.tokens["refresh_token"]).status == 401
    assert is_signed_in(auth, other)


def test_logging_out_needs_no_body(auth, alice):
    assert auth.post("/auth/logout", as_=alice).status == 204


def test_logging_out_everywhere_ends_every_session(auth, alice):
    other = Person.of(alice.email, auth.post("/auth/login", {"email": alice.email, "password": PASSWORD}).json)
    auth.post("/auth/logout", {"everywhere": True}, as_=alice)

    assert not is_signed_in(auth, alice)
    assert not is_signed_in(auth, other)


def test_the_stored_token_cannot_be_read_back(engines, alice):
    from sqlalchemy import text

    with engines["owner"].connect() as connection:
        stored = connection.scalars(text("SELECT hash FROM refresh_tokens WHERE user_id = :id"), {"id": alice.id}).all()
    raw = base64.urlsafe_b64decode(alice.tokens["refresh_token"].removeprefix("prt_"))

    assert len(stored) == 1
    assert raw[16:] != stored[0]
