"""The heartbeat of a turn while the database is away."""

from functions.chat.turn.heartbeat import Heartbeat, Watchdog
from parley.deadline import Deadline
from parley.errors import Unavailable
from parley.ids import new_id
from tests.functions.chat.turn.test_turn_state import make_turn
from tests.support.turns import RecordingQueue


def test_a_turn_leaves_a_database_alone_for_a_while_after_it_was_unavailable(monkeypatch):
    attempts, turn = [], make_turn()

    def is_away(*_, **__):
        attempts.append(1)
        raise Unavailable("database")

    monkeypatch.setattr("functions.chat.turn.heartbeat.turns.record_heartbeat", is_away)
    heartbeat = Heartbeat(None, turn, Watchdog(RecordingQueue(), user_id=new_id(), turn_id=turn.id), Deadline.after(60))
    heartbeat.tick_now()
    heartbeat.tick()

    assert len(attempts) == 1
