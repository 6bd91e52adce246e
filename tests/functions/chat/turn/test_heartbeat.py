"""The heartbeat of a turn: its ticks, its pings, and its rest while the database is away."""

from types import SimpleNamespace

import pytest

from functions.chat.turn.heartbeat import Heartbeat, Watchdog
from parley.db.turn.turns import HeartbeatReply
from parley.deadline import Deadline
from parley.errors import Unavailable
from parley.ids import new_id
from tests.functions.chat.turn.test_turn_state import make_turn
from tests.support.turns import RecordingQueue


@pytest.fixture
def clock(monkeypatch):
    """The clock of heartbeats, which shows `now_s` until the test changes it."""
    clock = SimpleNamespace(now_s=100.0, monotonic=lambda: clock.now_s)
    monkeypatch.setattr("functions.chat.turn.heartbeat.time", clock)
    return clock


@pytest.fixture
def heartbeat(clock):
    turn = make_turn()
    return Heartbeat(None, turn, Watchdog(RecordingQueue(), user_id=new_id(), turn_id=turn.id), Deadline.after(60))


@pytest.fixture
def database(clock, monkeypatch):
    """A database that notes when it is asked, and that is away while `is_away`."""
    database = SimpleNamespace(asked_s=[], is_away=False)

    def record(*_, **__):
        database.asked_s.append(clock.now_s)
        if database.is_away:
            raise Unavailable("database")
        return HeartbeatReply(True, is_stop_requested=False, is_access_ended=False, steering_messages=0)

    monkeypatch.setattr("functions.chat.turn.heartbeat.turns.record_heartbeat", record)
    return database


@pytest.mark.parametrize(("is_away", "asked_s"), [(False, [100.5, 101.0, 101.5, 102.0]), (True, [100.5])])
def test_a_turn_is_logged_twice_a_second_and_leaves_a_database_that_is_away_alone(clock, heartbeat, database, is_away, asked_s):
    database.is_away = is_away
    for tenths in range(1, 21):
        clock.now_s = 100 + tenths / 10
        heartbeat.tick()

    assert database.asked_s == asked_s


def test_a_client_is_pinged_after_ten_seconds_of_silence(clock, heartbeat):
    pinged_s = []
    for clock.now_s in (109.9, 110.0, 110.1, 119.9, 120.0):
        if heartbeat.ping():
            pinged_s.append(clock.now_s)

    assert pinged_s == [110.0, 120.0]
