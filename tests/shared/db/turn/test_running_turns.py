"""Turns while they run, wait and are forgotten: heartbeats, stops, pauses, and what the sweep finds."""

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from parley.db.transactions import user_scope
from parley.db.turn import approvals, steering_messages, turn_begin, turn_checkpoint, turns
from parley.db.turn.stream_leases import TooManyStreams
from parley.db.turn.turn_begin import IdempotencyKey
from parley.db.turn.turn_events import LoggedEvent
from parley.deadline import Deadline
from parley.errors import NotFound, Unavailable
from parley.ids import new_id
from tests.shared.db.turn.test_turns import FRESH, Turns
from tests.shared.db.turn.test_turns import mine as mine

# Heartbeats, stops and messages


def beat(engine, turn, person, entries=()):
    return turns.record_heartbeat(engine, turn.turn_id, user_id=person.id, entries=entries, principal=person.principal)


@pytest.fixture
def begun(engine, postgres, alice):
    """Return a function that begins a turn of Alice's in a transaction of its own."""

    def begin(status="running"):
        with user_scope(engine, alice.id) as connection:
            mine = Turns(connection, alice.id)
            turn = mine.begin()
            mine.change(turn, f"status = '{status}'")
        return turn

    yield begin
    postgres.execute(f"DELETE FROM turns WHERE user_id = '{alice.id}'", dbname="parley")


def test_a_heartbeat_logs_keeps_the_last_number_and_tells_of_stops_and_messages(engine, begun, alice):
    turn = begun()
    beat(engine, turn, alice, [LoggedEvent(5, "text.delta", {"texts": ["a"]})])
    before = beat(engine, turn, alice)
    with user_scope(engine, alice.id) as connection:
        steering_messages.add(connection, turn.turn_id, "u", "Hurry!", user_id=alice.id)
        assert turns.request_stop(connection, turn.turn_id, user_id=alice.id) == "running"
        last_event = turns.get(connection, turn.turn_id, user_id=alice.id).last_event

    assert (before.is_running, before.is_stop_requested, before.steering_messages, last_event) == (True, False, 0, 5)
    assert beat(engine, turn, alice) == turns.HeartbeatReply(True, True, is_access_ended=False, steering_messages=1)


@pytest.mark.parametrize("status", ["waiting", "completed"])
def test_a_turn_that_does_not_run_has_no_heartbeat(engine, begun, alice, status):
    turn = begun(status)

    assert beat(engine, turn, alice, [LoggedEvent(5, "message.read", {})]).is_running is False
    with user_scope(engine, alice.id) as connection:
        assert [entry.number for entry in turns.read_events(connection, turn.turn_id, user_id=alice.id)] == [1]


@pytest.mark.parametrize(("status", "is_stale"), [("running", True), ("waiting", False), ("completed", False)])
def test_only_a_running_turn_misses_its_heartbeat(engine, begun, postgres, alice, status, is_stale):
    turn = begun(status)
    postgres.execute(f"UPDATE turns SET heartbeat_at = now() - interval '31 seconds' WHERE id = '{turn.turn_id}'", dbname="parley")

    assert turns.progress(engine, turn.turn_id, user_id=alice.id, after=0).is_stale is is_stale


@pytest.fixture
def holders(postgres, alice):
    """Alice with her session, and Alice with an API key."""
    key_id, columns = new_id(), "user_id, id, name, scopes, expires_at"
    values = f"'{alice.id}', '{key_id}', 'ci', '{{chat}}', now() + interval '1 hour'"
    postgres.execute(f"INSERT INTO api_keys ({columns}) VALUES ({values})", dbname="parley")
    claims = {name: value for name, value in alice.claims.items() if name != "sid"} | {"api_key_id": str(key_id), "scope": "chat"}
    return {"session": alice, "key": replace(alice, claims=claims)}


@pytest.mark.parametrize(
    ("credential", "end"),
    [
        ("session", "UPDATE sessions SET ended_at = now() WHERE user_id = '{id}'"),
        ("session", "UPDATE sessions SET expires_at = now() - interval '1 second' WHERE user_id = '{id}'"),
        ("session", "UPDATE users SET disabled_at = now() WHERE id = '{id}'"),
        ("key", "UPDATE api_keys SET revoked_at = now() WHERE user_id = '{id}'"),
        ("key", "UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE user_id = '{id}'"),
        ("key", "UPDATE users SET disabled_at = now() WHERE id = '{id}'"),
    ],
)
def test_a_turn_learns_that_its_session_its_key_or_its_account_has_ended(superuser, begun, postgres, holders, credential, end):
    turn, person = begun(), holders[credential]
    before = beat(superuser, turn, person).is_access_ended
    postgres.execute(end.format(id=person.id), dbname="parley")
    progress = turns.progress(superuser, turn.turn_id, user_id=person.id, after=0, principal=person.principal)

    assert (before, beat(superuser, turn, person).is_access_ended, progress.is_access_ended) == (False, True, True)


@pytest.mark.parametrize("credential", ["session", "key"])
def test_somebody_elses_session_or_key_is_no_access_to_a_turn_without_row_level_security(superuser, holders, bob, credential):
    reply = turns.record_heartbeat(superuser, new_id(), user_id=bob.id, entries=(), principal=holders[credential].principal)

    assert reply.is_access_ended


def test_a_stop_is_noted_only_while_a_turn_runs(mine):
    turn = mine.begin()
    mine.end(turn)

    assert turns.request_stop(mine.connection, turn.turn_id, **mine.user) == "completed"
    mine.change(turn, "status = 'running'")
    assert mine.pause(turn, 3).is_done


# Pauses


def test_a_turn_is_paused_once_and_not_after_a_stop(mine):
    turn, stopped = mine.begin(), mine.begin()
    turns.request_stop(mine.connection, stopped.turn_id, **mine.user)
    results = [mine.pause(turn), mine.pause(turn), mine.pause(turn, 3), mine.pause(stopped)]

    assert [(result.is_done, result.last_event) for result in results] == [(True, 1), (True, 2), (False, 2), (False, 1)]
    assert [call.call_id for call in approvals.list_for_turn(mine.connection, turn.turn_id, **mine.user)] == ["c"]


def test_a_turn_that_went_on_is_not_paused_again_by_a_late_attempt(mine):
    turn = mine.begin()
    mine.pause(turn)
    turn_checkpoint.resume(mine.connection, turn.turn_id, **mine.user, max_running=1)

    assert (mine.pause(turn).is_done, mine.read(turn).status) == (False, "running")


@pytest.mark.parametrize(("age", "is_expired"), [("25 hours", True), ("23 hours", False)])
def test_a_turn_waits_for_a_day(mine, age, is_expired):
    turn = mine.begin()
    mine.pause(turn)
    mine.age(turn, age, column="waiting_since")
    locked = turn_checkpoint.lock_turn(mine.connection, turn.turn_id, **mine.user, conversation_too=True)

    assert (locked.is_expired, locked.status) == (is_expired, "waiting")


@pytest.mark.parametrize("lock", [turn_checkpoint.lock_turn, steering_messages.lock])
def test_two_requests_lock_a_turn_one_after_the_other(engine, engines, begun, alice, lock):
    turn = begun()
    with engines["owner"].begin() as holder, user_scope(engine, alice.id) as connection:
        lock(connection, turn.turn_id, user_id=alice.id)
        holder.execute(text("SET LOCAL lock_timeout = '50ms'"))
        with pytest.raises(OperationalError, match="lock timeout"):
            holder.execute(text("SELECT FROM turns WHERE id = :id FOR UPDATE"), {"id": turn.turn_id})
        holder.rollback()


def test_the_turns_that_have_waited_too_long_are_found_a_few_at_a_time(mine):
    waiting = [mine.begin() for _ in range(3)]
    for hours, turn in zip((25, 27, 26), waiting, strict=True):
        mine.pause(turn)
        mine.age(turn, f"{hours} hours", column="waiting_since")
    found = [id for _, id in turn_checkpoint.find_expired(mine.connection, limit=2)]

    assert found == [waiting[1].turn_id, waiting[2].turn_id]


def test_a_turn_that_changes_its_conversation_waits_for_the_conversation_first(engine, engines, begun, alice):
    turn = begun()
    with engines["owner"].begin() as holder, user_scope(engine, alice.id) as connection:
        holder.execute(text("SELECT FROM conversations WHERE id = :id FOR NO KEY UPDATE"), {"id": turn.conversation_id})
        connection.execute(text("SET LOCAL lock_timeout = '50ms'"))
        turn_checkpoint.lock_turn(connection, turn.turn_id, user_id=alice.id)
        with pytest.raises(OperationalError, match="lock timeout"):
            turn_checkpoint.lock_turn(connection, turn.turn_id, user_id=alice.id, conversation_too=True)
        connection.rollback()


def test_a_turn_goes_on_only_if_it_waits_and_few_others_run(mine):
    turn, other = mine.begin(), mine.begin()
    mine.pause(turn)
    with pytest.raises(TooManyStreams):
        turn_checkpoint.resume(mine.connection, turn.turn_id, **mine.user, max_running=1)
    turn_checkpoint.resume(mine.connection, turn.turn_id, **mine.user, max_running=2)

    assert [entry.name for entry in turns.read_events(mine.connection, turn.turn_id, **mine.user)] == ["turn.started"]
    assert turns.open_turn(mine.connection, other.conversation_id, **mine.user) == other.turn_id


def test_a_turn_that_runs_does_not_go_on_a_second_time(mine):
    turn = mine.begin()
    with pytest.raises(TooManyStreams):
        turn_checkpoint.resume(mine.connection, turn.turn_id, **mine.user, max_running=9)


def test_a_decision_is_kept_against_a_later_one(mine):
    turn = mine.begin()
    mine.pause(turn)
    first, again = [approvals.decide(mine.connection, turn.turn_id, "c", **mine.user, is_approved=value) for value in (False, True)]

    assert first == again
    assert approvals.list_for_turn(mine.connection, turn.turn_id, **mine.user)[0].is_approved is False
    with pytest.raises(NotFound):
        approvals.decide(mine.connection, turn.turn_id, "d", **mine.user, is_approved=True)


def test_a_decided_question_keeps_its_answers(mine):
    turn = mine.begin()
    mine.pause(turn)
    for answers in ({"1": "Lyon"}, {"1": "Turin"}):
        approvals.decide(mine.connection, turn.turn_id, "c", **mine.user, is_approved=True, answers=answers)

    assert approvals.list_for_turn(mine.connection, turn.turn_id, **mine.user)[0].answers == {"1": "Lyon"}


# The sweep


def test_the_sweep_finds_a_few_of_the_stale_and_of_the_expired_turns_oldest_first(engines, alice):
    with engines["owner"].connect() as connection:
        mine = Turns(connection, alice.id)
        found = [mine.begin() for _ in range(6)]
        for turn, age in zip(found[:3], ("40 years", "30 years", FRESH), strict=True):
            mine.age(turn, age)
        for turn, age in zip(found[3:], ("40 years", "30 years", "23 hours"), strict=True):
            mine.pause(turn)
            mine.age(turn, age, column="waiting_since")
            mine.age(turn, "50 years")
        stale, expired = turns.find_stale(connection, limit=1), turn_checkpoint.find_expired(connection, limit=2)
        young = {found[2].turn_id, found[5].turn_id}
        others = {id for find in (turns.find_stale, turn_checkpoint.find_expired) for _, id in find(connection, limit=10_000)}

    assert (stale, expired) == ([(alice.id, found[0].turn_id)], [(alice.id, turn.turn_id) for turn in found[3:5]])
    assert young.isdisjoint(others)


def test_keys_are_released_after_a_day(engines, alice):
    with engines["owner"].connect() as connection:
        mine = Turns(connection, alice.id)
        keyed = [mine.begin(idempotency_key=IdempotencyKey("chat", str(number), b"f")) for number in range(2)]
        for turn, age in zip(keyed, ("25 hours", "23 hours"), strict=True):
            mine.age(turn, age, column="started_at")
        turn_begin.release_expired_keys(connection)
        held, again = [mine.key_of(turn) for turn in keyed], turn_begin.release_expired_keys(connection)

    assert (held, again) == ([None, "1"], 0)


def test_a_lost_reply_to_a_commit_is_no_error_only_if_the_turn_is_stored(engine, begun, alice, bob):
    def commit(turn_id, person=alice, error=None):
        with turn_begin.CertainCommit(engine, person.id, Deadline.after(20)) as certain:
            certain.check = turn_id and partial(turns.exists, turn_id=turn_id, user_id=person.id)
            raise error or Unavailable("database")

    turn = begun()
    commit(turn.turn_id)
    for turn_id, person in ((None, alice), (new_id(), alice), (turn.turn_id, bob)):
        with pytest.raises(Unavailable):
            commit(turn_id, person)
    with pytest.raises(NotFound):
        commit(turn.turn_id, error=NotFound("conversation", turn.conversation_id))
