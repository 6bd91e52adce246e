"""The follow-up of a conversation's first turn: one message, whose job writes the title and reads the facts."""

import threading

import boto3
import pytest
from sqlalchemy import text

from functions.summarize import jobs, schedule
from functions.summarize.jobs import run_job
from parley.db import outbox
from parley.db.transactions import user_scope
from parley.jobs import MemoryQueue, parse_job
from parley.llm.errors import ProviderFailed
from tests.functions.summarize.services import RecordingOfflineProvider, make_deadline, make_services
from tests.support.turns import HELLO, ScriptedProvider, take
from tests.support.turns import make_services as make_chat_services

ENTRIES = "SELECT topic FROM outbox WHERE user_id = :id ORDER BY topic"
FACTS = "SELECT text FROM memories WHERE user_id = :id"


@pytest.fixture
def queue():
    return boto3.client("sqs").create_queue(QueueName="first-turns")["QueueUrl"]


@pytest.fixture
def first_turn(engine, queue, alice):
    """Take a conversation's first turn and return the jobs that it sent."""
    take(make_chat_services(engine, ScriptedProvider(HELLO), memory_queue=MemoryQueue(queue)), alice, "I am allergic to nuts.")
    sent = boto3.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    return [parse_job(message["Body"]) for message in sent]


def test_the_entries_of_a_first_turn_are_one_message_without_a_delay(first_turn, rows, alice):
    assert [job.topic for job in first_turn] == ["title"]
    assert rows(ENTRIES, id=alice.id) == [("remember",), ("title",)]


def test_one_job_reads_later_turns_and_has_five_seconds_left_of_half_a_minute(engine, monkeypatch, alice):
    delays_s = []
    monkeypatch.setattr(MemoryQueue, "put_all", lambda _, messages: delays_s.extend(message.delay_s for message in messages))
    services = make_chat_services(engine, ScriptedProvider(HELLO), memory_queue=MemoryQueue("a-queue"))
    started = take(services, alice)[0]
    finish_follow_up(engine, alice)
    for _ in range(2):
        take(services, alice, conversation_id=started.conversation_id)

    assert delays_s == [0, 25]


def finish_follow_up(engine, person):
    with user_scope(engine, person.id) as connection:
        connection.execute(
            text("UPDATE conversations SET title = 'Hello', is_title_automatic = false WHERE user_id = :id"), {"id": person.id}
        )
        connection.execute(text("DELETE FROM outbox WHERE user_id = :id"), {"id": person.id})


def test_the_job_of_a_title_reads_the_facts_as_well(engines, first_turn, rows, alice):
    provider = RecordingOfflineProvider()
    run_job(make_services(engines, provider), first_turn[0], deadline=make_deadline())

    assert rows(FACTS, id=alice.id) == [("The user is allergic to nuts.",)]
    assert provider.tasks() == ["title", "facts"]
    assert rows(ENTRIES, id=alice.id) == [("summary",)]


def test_a_message_that_comes_twice_reads_nothing_twice(engines, first_turn, alice):
    provider = RecordingOfflineProvider()
    for _ in range(2):
        run_job(make_services(engines, provider), first_turn[0], deadline=make_deadline())

    assert sorted(provider.tasks()) == ["facts", "title"]


def test_facts_are_read_even_if_the_title_fails(engines, first_turn, rows, alice):
    def fail_title(request):
        if request.task == "title":
            raise ProviderFailed("offline", "away")

    with pytest.raises(ProviderFailed):
        run_job(make_services(engines, RecordingOfflineProvider(fail_title)), first_turn[0], deadline=make_deadline())

    assert rows(FACTS, id=alice.id) == [("The user is allergic to nuts.",)]
    assert rows(ENTRIES, id=alice.id) == [("summary",), ("title",)]


def test_facts_that_failed_are_read_when_the_message_comes_again(engines, first_turn, rows, alice):
    def fail_facts(request):
        if request.task == "facts":
            raise ProviderFailed("offline", "away")

    with pytest.raises(ProviderFailed):
        run_job(make_services(engines, RecordingOfflineProvider(fail_facts)), first_turn[0], deadline=make_deadline())
    run_job(make_services(engines), first_turn[0], deadline=make_deadline())

    assert rows(FACTS, id=alice.id) == [("The user is allergic to nuts.",)]


def test_a_job_that_another_worker_runs_is_left_to_it(engine, engines, first_turn, rows, alice):
    (entry_id,) = rows("SELECT id FROM outbox WHERE user_id = :id AND topic = 'remember'", id=alice.id)[0]
    with user_scope(engine, alice.id) as connection:
        assert outbox.claim(connection, entry_id, user_id=alice.id, lease_s=jobs.LEASE_S)
    provider = RecordingOfflineProvider()
    run_job(make_services(engines, provider), first_turn[0], deadline=make_deadline())

    assert provider.tasks() == ["title"]


def test_a_job_of_another_conversation_is_not_run(engines, engine, first_turn, rows, alice):
    take(make_chat_services(engine, ScriptedProvider(HELLO)), alice, "I live in Lyon.")
    run_job(make_services(engines), first_turn[0], deadline=make_deadline())

    assert rows(FACTS, id=alice.id) == [("The user is allergic to nuts.",)]
    assert [topic for (topic,) in rows(ENTRIES, id=alice.id)] == ["remember", "summary", "title"]


def test_the_schedule_waits_for_a_job_that_another_worker_runs(engine, engines, first_turn, rows, change, alice):
    (entry_id,) = rows("SELECT id FROM outbox WHERE user_id = :id AND topic = 'remember'", id=alice.id)[0]
    with user_scope(engine, alice.id) as connection:
        claimed = outbox.claim(connection, entry_id, user_id=alice.id, lease_s=jobs.LEASE_S)
    worker = threading.Timer(1.0, jobs.run_claimed_job, [make_services(engines), claimed], {"deadline": make_deadline()})
    worker.start()
    schedule.run_scheduled(make_services(engines), make_deadline())
    worker.join()

    assert rows(FACTS, id=alice.id) == [("The user is allergic to nuts.",)]
    assert rows(ENTRIES, id=alice.id) == []


def test_the_schedule_waits_for_a_job_that_another_worker_is_just_claiming(engine, engines, first_turn, rows, alice, monkeypatch):
    (entry_id,) = rows("SELECT id FROM outbox WHERE user_id = :id AND topic = 'remember'", id=alice.id)[0]
    claim_next, workers = outbox.claim_next, []

    def claim_too_late(connection, *, lease_s):
        if workers:
            return claim_next(connection, lease_s=lease_s)
        with user_scope(engine, alice.id) as other:
            claimed = outbox.claim(other, entry_id, user_id=alice.id, lease_s=lease_s)
        workers.append(threading.Timer(1.0, jobs.run_claimed_job, [make_services(engines), claimed], {"deadline": make_deadline()}))
        workers[0].start()
        return None

    monkeypatch.setattr(outbox, "claim_next", claim_too_late)
    schedule.run_scheduled(make_services(engines), make_deadline())
    workers[0].join()

    assert rows(FACTS, id=alice.id) == [("The user is allergic to nuts.",)]
    assert rows(ENTRIES, id=alice.id) == []


def test_a_job_that_another_worker_leaves_as_it_ends_is_run(engine, engines, first_turn, rows, alice, monkeypatch):
    (entry_id,) = rows("SELECT id FROM outbox WHERE user_id = :id AND topic = 'remember'", id=alice.id)[0]
    with user_scope(engine, alice.id) as connection:
        claimed = outbox.claim(connection, entry_id, user_id=alice.id, lease_s=jobs.LEASE_S)
    is_any_left = outbox.is_any_left

    def finish_before_the_answer(connection):
        if rows("SELECT 1 FROM outbox WHERE id = :id", id=entry_id):
            jobs.run_claimed_job(make_services(engines), claimed, deadline=make_deadline())
        return is_any_left(connection)

    monkeypatch.setattr(outbox, "is_any_left", finish_before_the_answer)
    schedule.run_scheduled(make_services(engines), make_deadline())

    assert rows(FACTS, id=alice.id) == [("The user is allergic to nuts.",)]
    assert rows(ENTRIES, id=alice.id) == []
