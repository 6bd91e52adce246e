"""Checkpoints of turns, and the order in which a turn and its conversation are locked."""

from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from parley.db import conversations
from parley.db.turn import turn_checkpoint, turn_end
from parley.db.turn.turn_checkpoint import Checkpoint
from parley.db.turn.turn_end import TurnResult
from parley.db.turn.turn_events import LoggedEvent
from tests.shared.db.turn.test_running_turns import begun as begun
from tests.shared.db.turn.test_turns import mine as mine


def test_a_turn_that_never_paused_has_used_and_written_nothing(mine):
    turn = mine.begin()
    empty = Checkpoint((), 0, {}, (), 0, 0, 0, Decimal(0), None, 0.0, (), (), (), remembers=False)

    assert turn_checkpoint.read_checkpoint(mine.connection, turn.turn_id, **mine.user) == empty
    locked = turn_checkpoint.lock_turn(mine.connection, turn.turn_id, **mine.user)
    assert (locked.checkpoint, locked.is_expired) == (empty, False)


def test_the_end_of_a_turn_waits_for_its_conversation_first(superuser, begun, alice):
    turn = begun()
    failed = TurnResult("failed", None, [], "m", [LoggedEvent(2, "turn.failed", {})], 2)
    with superuser.connect() as holder, superuser.connect() as connection:
        holder.execute(text("SELECT FROM conversations WHERE id = :id FOR NO KEY UPDATE"), {"id": turn.conversation_id})
        connection.execute(text("SET LOCAL lock_timeout = '50ms'"))
        with pytest.raises(OperationalError, match="lock timeout"):
            turn_end.finish(connection, turn.turn_id, failed, user_id=alice.id, conversation_id=turn.conversation_id)


def test_a_turn_does_not_wait_for_another_users_conversation_with_the_same_id_without_row_level_security(superuser, begun, alice, bob):
    turn, user = begun(), {"user_id": alice.id}
    failed = TurnResult("failed", None, [], "m", [LoggedEvent(2, "turn.failed", {})], 2)
    with superuser.begin() as connection:
        conversations.add(connection, turn.conversation_id, user_id=bob.id)
    with superuser.connect() as holder, superuser.connect() as connection:
        holder.execute(text("SELECT FROM conversations WHERE user_id = :user FOR UPDATE"), {"user": bob.id})
        connection.execute(text("SET LOCAL lock_timeout = '10s'"))
        locked = turn_checkpoint.lock_turn(connection, turn.turn_id, **user, conversation_too=True)

        assert locked.status == "running"
        assert turn_end.finish(connection, turn.turn_id, failed, **user, conversation_id=turn.conversation_id)
        connection.rollback()
