"""The end of a turn: which answers it stores and replaces, and what is stored for search."""

import pytest
from sqlalchemy import text

from parley.db.turn import turn_end
from parley.db.turn.turn_end import TurnResult
from parley.db.turn.turn_events import LoggedEvent
from parley.ids import new_id
from tests.shared.db.turn.test_turns import Turns
from tests.shared.db.turn.test_turns import mine as mine


def end(mine, turn, *, message_id, said="Hello", status="completed"):
    parts = [{"type": "text", "text": said}]
    result = TurnResult(status, message_id, parts, "m", [LoggedEvent(2, f"turn.{status}", {})], 2, question="hi")
    return turn_end.finish(mine.connection, turn.turn_id, result, **mine.user, conversation_id=turn.conversation_id)


def test_a_turn_that_failed_after_some_words_stores_neither_answer_nor_passage(mine):
    ended = end(mine, mine.begin(), message_id=None, status="failed")

    assert (ended.answer, list(ended.passages), ended.follow_up) == (None, [], [])


def test_an_empty_answer_is_stored_without_a_passage(mine):
    ended = end(mine, mine.begin(), message_id=new_id(), said="")

    assert (ended.answer.parts[0]["text"], list(ended.passages)) == ("", [])


@pytest.fixture
def both(unrestricted, alice, bob):
    """The turns of alice and bob in one transaction that no policy restricts."""
    return Turns(unrestricted, alice.id), Turns(unrestricted, bob.id)


def test_an_answer_of_another_user_with_the_same_ids_is_neither_a_variant_nor_replaced_without_row_level_security(both, bob):
    ids, message_id = {"conversation_id": new_id(), "user_message_id": new_id()}, new_id()
    of_bob, first = (end(mine, mine.begin(**ids), message_id=message_id).answer for mine in reversed(both))
    mine = both[0]
    again = end(mine, mine.begin(**ids, last_seq=2, parts=None), message_id=new_id()).answer
    left = mine.connection.scalar(
        text("SELECT is_active FROM messages WHERE user_id = :user AND id = :id"), {"user": bob.id, "id": of_bob.id}
    )

    assert [answer.variant for answer in (of_bob, first, again)] == [0, 0, 1]
    assert (first.is_active, again.is_active, left) == (True, True, True)
