"""Stale turns are interrupted."""

from uuid import UUID

import boto3
import pytest
from sqlalchemy import text

from functions.upkeep import stale_turns
from parley.ids import new_id
from parley.jobs import CheckTurn


@pytest.fixture
def turn_of(chat, engines):
    """Return the id of a turn that is running according to the database, with a heartbeat of that age."""

    def turn_of(person, *, heartbeat_age_s):
        response = chat.post("/chat", {"message": "hello", "stream": False}, as_=person).json
        with engines["owner"].begin() as connection:
            sql = "UPDATE turns SET status = 'running', heartbeat_at = now() - make_interval(secs => :s) WHERE id = :id"
            connection.execute(text(sql), {"s": heartbeat_age_s, "id": response["turn_id"]})
        return UUID(response["turn_id"])

    return turn_of


@pytest.fixture
def status_of(engines):
    def status_of(turn_id):
        with engines["owner"].connect() as connection:
            return connection.scalar(text("SELECT status FROM turns WHERE id = :id"), {"id": turn_id})

    return status_of


@pytest.fixture
def checks(monkeypatch):
    """Record the checks of turns that upkeep queues, with the delay. It queues lost jobs of other tests' users too."""
    from functions.upkeep.app import services

    queued = []

    def send(queue, message, *, delay_s=0):
        if isinstance(message, CheckTurn):
            queued.append((message, delay_s))

    monkeypatch.setattr(type(services.queue), "send", send)
    monkeypatch.setattr(type(services.memory_queue), "send", lambda self, message, *, delay_s=0: None)
    return queued


def test_a_turn_whose_heartbeat_stopped_is_interrupted(upkeep, alice, turn_of, status_of, checks):
    turn_id = turn_of(alice, heartbeat_age_s=31)

    assert upkeep.deliver(CheckTurn(alice.id, turn_id)) == []
    assert status_of(turn_id) == "interrupted"
    assert checks == []


def test_a_live_turn_is_checked_again_when_it_could_be_stale(upkeep, alice, turn_of, status_of, checks):
    turn_id = turn_of(alice, heartbeat_age_s=10)
    upkeep.deliver(CheckTurn(alice.id, turn_id))
    ((message, delay_s),) = checks

    assert status_of(turn_id) == "running"
    assert message.turn_id == turn_id
    assert 20 < delay_s <= 21


def test_an_ended_turn_is_left_alone(upkeep, chat, alice, checks):
    response = chat.post("/chat", {"message": "hello", "stream": False}, as_=alice).json

    assert upkeep.deliver(CheckTurn(alice.id, UUID(response["turn_id"]))) == []
    assert checks == []


def test_a_deleted_turn_is_not_a_failure(upkeep, alice):
    assert upkeep.deliver(CheckTurn(alice.id, new_id())) == []


def test_the_sweep_ends_turns_that_no_message_checked(upkeep, alice, bob, turn_of, status_of):
    upkeep.sweep()
    dead = [turn_of(person, heartbeat_age_s=31) for person in (alice, bob)]
    alive = turn_of(alice, heartbeat_age_s=5)

    assert upkeep.sweep()["interrupted"] == 2
    assert [status_of(turn_id) for turn_id in (*dead, alive)] == ["interrupted", "interrupted", "running"]


def test_a_turn_that_died_before_its_check_was_sent_is_ended_with_the_next_batch(upkeep, alice, bob, turn_of, status_of):
    dead, alive = turn_of(alice, heartbeat_age_s=31), turn_of(alice, heartbeat_age_s=5)
    upkeep.deliver(CheckTurn(bob.id, new_id()))

    assert [status_of(turn_id) for turn_id in (dead, alive)] == ["interrupted", "running"]


def test_the_recovery_schedule_ends_a_turn_that_died_before_its_check_was_sent(upkeep, alice, turn_of, status_of):
    dead = turn_of(alice, heartbeat_age_s=31)

    assert upkeep.recover()["interrupted"] == 1
    assert status_of(dead) == "interrupted"


@pytest.fixture
def unreadable(engines, monkeypatch):
    """Make a turn's stored state unreadable, so that nothing can end it. A batch is one turn, so this turn fills the first batch."""
    monkeypatch.setattr(stale_turns, "_BATCH", 1)
    broken = []

    def unreadable(turn_id):
        broken.append(turn_id)
        with engines["owner"].begin() as connection:
            connection.execute(text("UPDATE turns SET held = '{\"unknown\": 1}' WHERE id = :id"), {"id": turn_id})

    yield unreadable
    with engines["owner"].begin() as connection:
        connection.execute(text("UPDATE turns SET status = 'failed', held = NULL WHERE id = ANY(:ids)"), {"ids": broken})


def test_a_stale_turn_that_cannot_be_ended_does_not_keep_later_ones_open(upkeep, alice, bob, turn_of, status_of, unreadable, caplog):
    upkeep.sweep()
    broken, dead = turn_of(alice, heartbeat_age_s=90), turn_of(bob, heartbeat_age_s=31)
    unreadable(broken)

    assert upkeep.recover()["interrupted"] == 1
    assert (status_of(broken), status_of(dead)) == ("running", "interrupted")
    assert [record.getMessage() for record in caplog.records].count("turn_not_ended") == 1


def test_an_expired_turn_that_cannot_be_ended_does_not_keep_later_ones_waiting(upkeep, engines, alice, bob, turn_of, status_of, unreadable):
    upkeep.sweep()
    broken, expired = turn_of(alice, heartbeat_age_s=0), turn_of(bob, heartbeat_age_s=0)
    with engines["owner"].begin() as connection:
        sql = "UPDATE turns SET status = 'waiting', waiting_since = now() - make_interval(hours => :hours) WHERE id = :id"
        connection.execute(text(sql), [{"hours": 26, "id": broken}, {"hours": 25, "id": expired}])
    unreadable(broken)

    assert upkeep.sweep()["approvals_expired"] == 1
    assert (status_of(broken), status_of(expired)) == ("waiting", "stopped")


def test_the_queue_delays_a_check(environment):
    from parley.jobs import UpkeepQueue

    url = boto3.client("sqs").create_queue(QueueName="delayed")["QueueUrl"]
    UpkeepQueue(url).send(CheckTurn(new_id(), new_id()), delay_s=2.5)
    counts = boto3.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]

    assert (counts["ApproximateNumberOfMessages"], counts["ApproximateNumberOfMessagesDelayed"]) == ("0", "1")
