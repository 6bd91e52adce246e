"""Follow-up jobs: queued once, never lost, never done twice."""

from uuid import UUID

import boto3
import pytest

from functions.chat.turn import run as chat_turn
from functions.summarize.jobs import LEASE_S
from parley.db import outbox
from parley.db.transactions import global_scope, user_scope
from parley.errors import Unavailable
from parley.jobs import MemoryQueue, OutboxJob, parse_job
from tests.support.turns import HELLO, RecordingMemoryQueue, ScriptedProvider, make_services, take

ENTRIES = "SELECT topic, generation FROM outbox WHERE user_id = :user_id ORDER BY topic"


def take_turn(engine, person):
    """Take a turn and return the conversation and the entries that were sent."""
    queue = RecordingMemoryQueue()
    started, *_ = take(make_services(engine, ScriptedProvider(HELLO), memory_queue=queue), person)
    return started.conversation_id, queue.sent


def test_the_first_turn_queues_a_title_and_a_memory_update(engine, rows, alice):
    conversation_id, sent = take_turn(engine, alice)

    assert rows(ENTRIES, user_id=alice.id) == [("remember", 0), ("title", 0)]
    assert {(entry.topic, entry.subject_id) for entry in sent} == {("title", conversation_id), ("remember", conversation_id)}


def test_further_turns_queue_nothing_while_the_jobs_wait(engine, rows, alice):
    conversation_id, _ = take_turn(engine, alice)
    queue = RecordingMemoryQueue()
    take(make_services(engine, ScriptedProvider(HELLO), memory_queue=queue), alice, conversation_id=conversation_id)

    assert rows(ENTRIES, user_id=alice.id) == [("remember", 1), ("title", 1)]
    assert queue.sent == []


def test_a_lost_entry_is_sent_again_by_the_next_turn(engine, rows, change, alice):
    conversation_id, _ = take_turn(engine, alice)
    change("UPDATE outbox SET due_at = now() WHERE user_id = :user_id AND topic = 'remember'", user_id=alice.id)
    queue = RecordingMemoryQueue()
    take(make_services(engine, ScriptedProvider(HELLO), memory_queue=queue), alice, conversation_id=conversation_id)

    assert [entry.topic for entry in queue.sent] == ["remember"]


def test_a_turn_without_text_queues_nothing(engine, rows, alice):
    take(make_services(engine, ScriptedProvider([Unavailable("vendor")])), alice)

    assert rows(ENTRIES, user_id=alice.id) == []


@pytest.fixture
def dying(monkeypatch):
    """Let the function die between the commit and the queue."""
    monkeypatch.setattr(chat_turn, "queue_follow_up", lambda services, turn: None)


def test_the_sweep_sends_the_job_of_a_function_that_died(dying, engine, upkeep, environment, change, alice):
    url = boto3.client("sqs").create_queue(QueueName="swept")["QueueUrl"]
    conversation_id, sent = take_turn(engine, alice)
    assert sent == []
    upkeep.sweep()
    change("UPDATE outbox SET due_at = now() WHERE user_id = :user_id", user_id=alice.id)
    with user_scope(engine, alice.id):
        jobs = sweep_into(upkeep, url)

    assert {(job.topic, job.subject_id) for job in jobs} == {("title", conversation_id), ("remember", conversation_id)}


def sweep_into(upkeep, url):
    """Sweep with a separate memory queue and return the jobs in it."""
    from dataclasses import replace

    from functions.upkeep.app import services
    from functions.upkeep.sweep import resend_due

    resend_due(replace(services, memory_queue=MemoryQueue(url)))
    return [parse_job(message["Body"]) for message in boto3.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]]


def claim(engine, person, entry):
    with user_scope(engine, person.id) as connection:
        return outbox.claim(connection, entry.id, user_id=person.id, lease_s=LEASE_S)


def test_only_one_worker_claims_an_entry(engine, engines, alice):
    _, (entry, *_) = take_turn(engine, alice)

    assert claim(engine, alice, entry)
    assert claim(engine, alice, entry) is None


def test_a_turn_that_ends_while_another_is_remembered_is_remembered_too(engine, rows, alice):
    conversation_id, sent = take_turn(engine, alice)
    claimed = claim(engine, alice, next(entry for entry in sent if entry.topic == "remember"))
    take(make_services(engine, ScriptedProvider(HELLO)), alice, conversation_id=conversation_id)
    with user_scope(engine, alice.id) as connection:
        is_done = outbox.finish_claim(connection, claimed)

    assert not is_done
    assert rows("SELECT tries, claimed_until FROM outbox WHERE id = :id", id=claimed.id) == [(0, None)]


def test_the_last_event_reaches_the_client_before_the_job_is_queued(engine, alice):
    order = []

    class Slow(RecordingMemoryQueue):
        def send_entries(self, entries):
            order.append("sent")

    for event in take_lazily(make_services(engine, ScriptedProvider(HELLO), memory_queue=Slow()), alice):
        order.append(event)

    assert order[-1] != "turn.started"
    assert order.count("sent") == 1


def take_lazily(services, person):
    from tests.support.turns import events_of, take_numbered

    yield from (event.name for event in events_of(take_numbered(services, person)))


def test_the_oldest_entry_is_claimed_first_and_failed_ones_wait(engines, engine, change, alice):
    change("DELETE FROM outbox")
    _, sent = take_turn(engine, alice)
    change("UPDATE outbox SET tries = 1 WHERE id = :id", id=sent[0].id)
    with global_scope(engines["background"]) as connection:
        claimed = [outbox.claim_next(connection, lease_s=LEASE_S) for _ in range(2)]

    assert claimed[0].id == sent[1].id
    assert claimed[1] is None


def test_an_unknown_job_is_reported_as_failed(summarize, alice):
    other = OutboxJob(alice.id, UUID(int=1), "erase", None)

    assert summarize.deliver(other) == ["0"]
