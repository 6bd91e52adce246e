"""Stored turns: how many may run, what a new question finds, and how a turn ends."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from parley.db.transactions import user_scope
from parley.db.turn import turn_begin, turn_checkpoint, turn_end, turns
from parley.db.turn.approvals import Approval
from parley.db.turn.stream_leases import TooManyStreams
from parley.db.turn.turn_begin import IdempotencyKey, NewTurn, TurnConflict
from parley.db.turn.turn_checkpoint import Checkpoint
from parley.db.turn.turn_end import TurnResult
from parley.db.turn.turn_events import LoggedEvent
from parley.errors import NotFound
from parley.ids import new_id

KEY = IdempotencyKey("chat", "k1", b"f")
OLD, FRESH = "31 seconds", "25 seconds"


class Turns:
    """The turns of one user, in one transaction."""

    def __init__(self, connection: Any, user_id: Any) -> None:
        self.connection, self.user = connection, {"user_id": user_id}

    def begin(self, *, max_running: int = 9, **fields: Any) -> NewTurn:
        ids = {"turn_id": new_id(), "conversation_id": new_id(), "user_message_id": new_id()}
        question = {"title": None, "parts": [{"type": "text", "text": "hi"}], "tokens": 1, "model": "m", "last_seq": None}
        defaults = ids | question | {"idempotency_key": None, "entries": [LoggedEvent(1, "turn.started", {})]}
        new_turn = NewTurn(**self.user, **defaults | fields)
        turn_begin.store_turn(self.connection, new_turn, max_running=max_running)
        return new_turn

    def change(self, turn: NewTurn, values: str) -> None:
        self.connection.execute(text(f"UPDATE turns SET {values} WHERE id = :id"), {"id": turn.turn_id})

    def age(self, turn: NewTurn, age: str = OLD, *, column: str = "heartbeat_at") -> None:
        self.change(turn, f"{column} = clock_timestamp() - interval '{age}'")

    def pause(self, turn: NewTurn, number: int = 2) -> turn_checkpoint.PauseResult:
        entries, calls = [LoggedEvent(number, "turn.waiting", {})], [Approval("c", "clock", {})]
        return turn_checkpoint.pause(self.connection, turn.turn_id, Checkpoint(), calls, **self.user, entries=entries)

    def end(self, turn: NewTurn, *, text: str = "Hello", **options: Any) -> turn_end.EndedTurn | None:
        parts = [{"type": "text", "text": text}]
        result = TurnResult("completed", new_id(), parts, "m", [LoggedEvent(2, "turn.completed", {})], 2, question="hi")
        return turn_end.finish(self.connection, turn.turn_id, result, **self.user, conversation_id=turn.conversation_id, **options)

    def read(self, turn: NewTurn) -> turns.StoredTurn:
        return turns.get(self.connection, turn.turn_id, **self.user)

    def key_of(self, turn: NewTurn) -> str | None:
        return self.connection.execute(text("SELECT idempotency_key FROM turns WHERE id = :id"), {"id": turn.turn_id}).scalar_one()

    def preconditions(self, conversation_id: UUID, key: IdempotencyKey | None = None, **options: Any) -> turn_begin.TurnPreconditions:
        found = {"conversation_id": conversation_id, "idempotency_key": key}
        return turn_begin.read_preconditions(self.connection, **self.user, **found, **options)


@pytest.fixture
def mine(engine, alice) -> Iterator[Turns]:
    """Alice's turns, in a transaction that is rolled back."""
    with user_scope(engine, alice.id) as connection:
        yield Turns(connection, alice.id)
        connection.rollback()


# How many run


@pytest.mark.parametrize("change", ["heartbeat_at = now() - interval '31 seconds'", "status = 'waiting'", "status = 'completed'"])
def test_only_running_turns_with_a_heartbeat_count_towards_the_limit(mine, change):
    first = mine.begin()
    with pytest.raises(TooManyStreams):
        mine.begin(max_running=1)
    mine.change(first, change)

    assert mine.begin(max_running=1)


def test_a_turn_whose_heartbeat_is_a_little_late_still_counts(mine):
    mine.age(mine.begin(), FRESH)

    with pytest.raises(TooManyStreams):
        mine.begin(max_running=1)


def test_a_question_is_not_stored_if_the_conversation_has_gone_on(mine):
    first = mine.begin()
    mine.end(first)
    with pytest.raises(TurnConflict):
        mine.begin(conversation_id=first.conversation_id, last_seq=1)

    assert mine.begin(conversation_id=first.conversation_id, last_seq=2)
    assert mine.preconditions(first.conversation_id).conversation.last_seq == 3


@pytest.mark.parametrize(("mined", "left"), [(4, 2), (2, 2), (1, 1)])
def test_only_the_last_question_of_a_conversation_is_read_again_for_memories_when_its_answer_is_written_anew(mine, mined, left):
    first = mine.begin()
    mine.end(first)
    in_conversation = {"conversation_id": first.conversation_id}
    second = mine.begin(**in_conversation, last_seq=2)
    mine.end(second)
    mine.connection.execute(
        text("UPDATE conversations SET mined_upto_seq = :mined WHERE id = :conversation_id"), in_conversation | {"mined": mined}
    )
    mine.begin(**in_conversation, last_seq=4, parts=None, user_message_id=second.user_message_id)

    assert mine.connection.scalar(text("SELECT mined_upto_seq FROM conversations WHERE id = :conversation_id"), in_conversation) == left


# What a new question finds


@pytest.mark.parametrize(("age", "is_stale"), [(OLD, True), (FRESH, False)])
def test_a_running_turn_is_stale_after_thirty_seconds(mine, age, is_stale):
    turn = mine.begin(idempotency_key=KEY)
    mine.age(turn, age)
    found = mine.preconditions(turn.conversation_id, KEY)

    assert (found.open_turn.is_stale, found.same_key_turn.is_stale, found.same_key_turn.id) == (is_stale, is_stale, turn.turn_id)
    assert (turns.heartbeat_age_s(mine.connection, turn.turn_id, **mine.user) > 30) is is_stale


def test_a_waiting_turn_is_open_and_never_stale_and_an_ended_one_is_not_open(mine):
    turn = mine.begin(idempotency_key=KEY)
    mine.age(turn)
    mine.pause(turn)
    waiting = mine.preconditions(turn.conversation_id, KEY)
    mine.end(turn, was="waiting")
    ended = mine.preconditions(turn.conversation_id, KEY)

    assert (waiting.open_turn.status, waiting.open_turn.is_stale, waiting.same_key_turn.is_stale) == ("waiting", False, False)
    assert (ended.open_turn, ended.same_key_turn.status) == (None, "completed")
    assert turns.heartbeat_age_s(mine.connection, turn.turn_id, **mine.user) is None


@pytest.mark.parametrize(("age", "is_expired"), [("25 hours", True), ("23 hours", False)])
def test_an_idempotency_key_may_be_used_again_after_a_day(mine, age, is_expired):
    turn = mine.begin(idempotency_key=KEY)
    mine.age(turn, age, column="started_at")
    found = mine.preconditions(turn.conversation_id, KEY)
    turn_begin.release_key(mine.connection, KEY, **mine.user)

    assert found.is_key_expired is is_expired
    assert (mine.preconditions(turn.conversation_id, KEY).same_key_turn is None) is is_expired


def test_only_the_key_itself_is_released(mine):
    kept = [mine.begin(idempotency_key=key) for key in (IdempotencyKey("chat", "k2", b"f"), IdempotencyKey("other", "k1", b"f"))]
    for turn in (mine.begin(idempotency_key=KEY), *kept):
        mine.age(turn, "25 hours", column="started_at")
    turn_begin.release_key(mine.connection, KEY, **mine.user)

    assert all(mine.preconditions(turn.conversation_id, turn.idempotency_key).same_key_turn for turn in kept)


def test_an_unknown_conversation_is_not_found_unless_it_may_be_opened(mine):
    with pytest.raises(NotFound):
        mine.preconditions(new_id())

    assert mine.preconditions(new_id(), must_exist=False).conversation is None


# The end


@pytest.mark.parametrize(("age", "is_ended"), [(OLD, True), (FRESH, False)])
def test_a_turn_is_ended_for_its_worker_only_if_it_is_stale(mine, age, is_ended):
    turn = mine.begin()
    mine.age(turn, age)

    assert (mine.end(turn, only_if_stale=True) is not None) is is_ended
    assert mine.read(turn).status == ("completed" if is_ended else "running")


def test_a_turn_ends_once_and_only_from_the_state_that_was_expected(mine):
    turn = mine.begin()

    assert [mine.end(turn, was=was) is not None for was in ("waiting", "running", "running")] == [False, True, False]


def test_the_number_of_the_last_event_never_falls(mine):
    turn = mine.begin()
    mine.change(turn, "last_event = 7")
    mine.end(turn)

    assert mine.read(turn).last_event == 7


def test_an_empty_second_answer_does_not_replace_the_first(mine):
    turn = mine.begin()
    mine.end(turn)
    again = mine.begin(conversation_id=turn.conversation_id, last_seq=2, parts=None, user_message_id=turn.user_message_id)
    empty = mine.end(again, text="")
    third = mine.begin(conversation_id=turn.conversation_id, last_seq=2, parts=None, user_message_id=turn.user_message_id)
    full = mine.end(third)

    assert [(ended.answer.seq, ended.answer.variant, ended.answer.is_active) for ended in (empty, full)] == [(2, 1, False), (2, 2, True)]


def test_what_follows_a_turn_is_sent_now_only_if_its_own_worker_ends_it(mine):
    own, stale, waiting = mine.begin(), mine.begin(), mine.begin()
    mine.age(stale)
    mine.pause(waiting)
    ended = [mine.end(own), mine.end(stale, only_if_stale=True), mine.end(waiting, was="waiting")]

    assert [bool(each.follow_up) for each in ended] == [True, False, False]
