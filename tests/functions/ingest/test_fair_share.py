"""Many documents of one user do not delay the document of another, and a waiting document is never forgotten."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import batched
from threading import Event, Lock, Thread
from types import SimpleNamespace
from uuid import UUID

import boto3
import pytest

from functions.ingest import lease as leases
from functions.ingest import messages, parser_process, pipeline
from functions.ingest.lease import LEASE_S, LONGEST_PAUSE_S, DatabaseShare, queue_waiting
from functions.ingest.pipeline import ingest
from parley.db import documents as stored_documents
from parley.db import unfinished_documents
from parley.db.engine import make_engine
from parley.db.transactions import global_scope, user_scope
from parley.deadline import Deadline
from parley.ingest_queue import IngestQueue
from parley.llm.errors import ProviderFailed
from tests.support.builders import upload_document

WORKERS = 4
PATIENCE_S = 30


@dataclass
class HeldEmbedding:
    """An embedding model that holds the documents of one user until `released`, and counts the documents of each user."""

    held_user: UUID
    released: Event = field(default_factory=Event)
    active: Counter[UUID] = field(default_factory=Counter)
    most: Counter[UUID] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)

    def model_name(self):
        return "lexical"

    def vectors(self, _texts, *, billing_subject, before_call, **_):
        user_id = billing_subject.user_id
        with self.lock:
            self.active[user_id] += 1
            self.most[user_id] = max(self.most[user_id], self.active[user_id])
        if user_id == self.held_user:
            self.released.wait(PATIENCE_S)
        with self.lock:
            self.active[user_id] -= 1
        raise ProviderFailed("acme", "down")


@pytest.fixture
def queue(alice):
    return IngestQueue(boto3.client("sqs").create_queue(QueueName=f"fair-{alice.id}")["QueueUrl"])


@pytest.fixture
def ingest_services(ingest, queue, alice, monkeypatch):
    from functions.ingest.app import services

    monkeypatch.setattr("functions.ingest.pipeline.read_blocks", lambda path, name, **_: parser_process.parse_file(path, name))
    return replace(services, queue=queue, embedding=HeldEmbedding(UUID(str(alice.id))))


@contextmanager
def running_workers(services, database):
    """Let `WORKERS` workers process the queue as Lambda does, until the context ends."""
    ended, sqs, url = Event(), boto3.client("sqs"), services.queue._url

    def work(_):
        own = replace(services, engine=make_engine(database))
        while not ended.is_set():
            for message in sqs.receive_message(QueueUrl=url).get("Messages", []):
                for document_message in messages.parse_messages(message["Body"]):
                    ingest(own, document_message, deadline=Deadline.after(300))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            time.sleep(0.01)
        own.engine.dispose()

    with ThreadPoolExecutor(WORKERS) as pool:
        running = pool.map(work, range(WORKERS))
        try:
            yield
        finally:
            services.embedding.released.set()
            ended.set()
    list(running)


def upload_and_queue(documents, queue, owner):
    document_id = UUID(upload_document(documents, owner).json["id"])
    queue.send(document_id, user_id=owner.id)
    return document_id


def statuses(documents, owner):
    return Counter(item["status"] for item in documents.get("/documents?limit=100", as_=owner).json["items"])


def wait_until(condition):
    ends = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < ends:
        time.sleep(0.02)
    return condition()


def test_a_document_is_ingested_while_another_user_has_more_documents_than_there_are_workers(
    documents, ingest_services, queue, database, alice, bob
):
    for _ in range(2 * WORKERS):
        upload_and_queue(documents, queue, alice)
    upload_and_queue(documents, queue, bob)

    with running_workers(ingest_services, database):
        assert wait_until(lambda: statuses(documents, bob) == {"ready": 1})
        assert statuses(documents, alice) == {"processing": 2, "queued": 2 * WORKERS - 2}


def test_all_documents_of_a_user_are_ingested_two_at_a_time(documents, ingest_services, queue, database, alice):
    ingest_services.embedding.released.set()
    for _ in range(12):
        upload_and_queue(documents, queue, alice)

    with running_workers(ingest_services, database):
        assert wait_until(lambda: statuses(documents, alice) == {"ready": 12})
    assert ingest_services.embedding.most[alice.id] <= 2


def received(queue):
    return boto3.client("sqs").receive_message(QueueUrl=queue._url, MaxNumberOfMessages=10).get("Messages", [])


def lease(engine, owner, document_id, *, seconds=LEASE_S):
    with user_scope(engine, owner.id) as connection:
        return stored_documents.acquire_lease(connection, document_id, user_id=owner.id, lease_s=seconds)


def set_waiting(engine, owner, document_id):
    with user_scope(engine, owner.id) as connection:
        stored_documents.set_waiting(connection, document_id, user_id=owner.id)


def test_a_document_that_starts_to_wait_while_the_last_worker_finishes_is_queued(documents, ingest_services, queue, database, alice):
    document_id = UUID(upload_document(documents, alice).json["id"])
    other = replace(ingest_services, engine=make_engine(database))
    finishing = Thread(target=queue_waiting, args=(other, alice.id))
    with user_scope(ingest_services.engine, alice.id) as connection:
        stored_documents.lock_processed(connection, user_id=alice.id)
        finishing.start()
        finishing.join(0.3)
        stored_documents.set_waiting(connection, document_id, user_id=alice.id)
    finishing.join()
    other.engine.dispose()

    assert [str(document_id) in message["Body"] for message in received(queue)] == [True]


def test_a_deleted_document_passes_its_workers_share_on(documents, ingest_services, queue, alice):
    deleted, waiting = (UUID(upload_document(documents, alice).json["id"]) for _ in range(2))
    set_waiting(ingest_services.engine, alice, waiting)
    documents.delete(f"/documents/{deleted}", as_=alice)
    with pytest.raises(Exception, match="document"):
        ingest(ingest_services, messages.DocumentMessage(alice.id, deleted), deadline=Deadline.after(300))

    assert [str(waiting) in message["Body"] for message in received(queue)] == [True]


@pytest.mark.parametrize(("in_work", "queued"), [(1, 1), (2, 0), (3, 0)])
def test_as_many_waiting_documents_are_queued_as_a_user_may_have_in_work(documents, ingest_services, queue, alice, in_work, queued):
    ids = [UUID(upload_document(documents, alice).json["id"]) for _ in range(in_work + 2)]
    for document_id in ids[:in_work]:
        lease(ingest_services.engine, alice, document_id)
    for document_id in ids[in_work:]:
        set_waiting(ingest_services.engine, alice, document_id)
    queue_waiting(ingest_services, alice.id)

    assert len(received(queue)) == queued


def test_the_file_of_a_deleted_document_is_deleted_while_the_share_is_taken(documents, ingest, environment, postgres, alice):
    deleted, *leased = (upload_document(documents, alice).json["id"] for _ in range(3))
    documents.delete(f"/documents/{deleted}", as_=alice)
    ids = ", ".join(f"'{id}'" for id in leased)
    postgres.execute(f"UPDATE documents SET has_worker = true, leased_until = now() + interval '1 minute' WHERE id IN ({ids})")
    ingest.read(alice, deleted)
    files = boto3.client("s3").list_objects_v2(Bucket=environment["PARLEY_FILES_BUCKET"], Prefix=f"documents/{alice.id}/")["Contents"]

    assert {file["Key"].rpartition("/")[2] for file in files} == set(leased)


def test_a_paused_document_takes_no_share_of_the_workers(documents, engine, alice):
    document_id = UUID(upload_document(documents, alice).json["id"])
    until = lease(engine, alice, document_id).leased_until
    with user_scope(engine, alice.id) as connection:
        before = stored_documents.lock_processed(connection, user_id=alice.id)
        stored_documents.release_lease(connection, document_id, user_id=alice.id, held_until=until, after_s=300, is_excused=True)

        assert (before, stored_documents.lock_processed(connection, user_id=alice.id)) == (1, 0)


def test_a_new_document_does_not_wait_behind_ready_ones(documents, engine, postgres, alice):
    ready, new = (UUID(upload_document(documents, alice).json["id"]) for _ in range(2))
    postgres.execute(f"UPDATE documents SET status = 'ready' WHERE id = '{ready}'")
    set_waiting(engine, alice, ready), set_waiting(engine, alice, new)
    with user_scope(engine, alice.id) as connection:
        assert stored_documents.take_waiting(connection, user_id=alice.id, limit=1) == [new]


@pytest.mark.parametrize(("lease_ended_ago", "is_stalled"), [("10 minutes", False), ("31 minutes", True)])
def test_the_sweep_queues_waiting_documents_only_if_no_worker_can(documents, engines, postgres, alice, lease_ended_ago, is_stalled):
    leased, waiting = (UUID(upload_document(documents, alice).json["id"]) for _ in range(2))
    postgres.execute(f"UPDATE documents SET created_at = now() - interval '1 hour' WHERE user_id = '{alice.id}'")
    postgres.execute(f"UPDATE documents SET leased_until = now() - interval '{lease_ended_ago}' WHERE id = '{leased}'")
    postgres.execute(f"UPDATE documents SET is_waiting = true WHERE id = '{waiting}'")
    with global_scope(engines["background"]) as connection:
        stalled = unfinished_documents.find_stalled(connection, limit=100_000, older_than_s=1800)

    assert ((alice.id, waiting) in stalled) == is_stalled


@pytest.fixture
def clock(monkeypatch):
    """A clock of the share of the database that stands still: `passed_s` moves it, and `pauses_s` has the pauses."""
    clock = SimpleNamespace(now_s=0.0, pauses_s=[])
    clock.passed_s = lambda seconds: setattr(clock, "now_s", clock.now_s + seconds)
    monkeypatch.setattr(leases, "time", SimpleNamespace(monotonic=lambda: clock.now_s, sleep=clock.pauses_s.append))
    return clock


@pytest.mark.parametrize("paragraphs", [1, 100], ids=["one batch", "several batches"])
def test_each_batch_leaves_the_database_to_others_for_as_long_as_it_took(documents, ingest_services, bob, clock, monkeypatch, paragraphs):
    text = "\n\n".join(["A word of many. " * 150] * paragraphs)
    message = messages.DocumentMessage(bob.id, UUID(upload_document(documents, bob, text).json["id"]))
    add = pipeline.chunks.add
    monkeypatch.setattr(pipeline.chunks, "add", lambda *args, **options: (clock.passed_s(0.001 * len(args[2])), add(*args, **options)))
    ingest(ingest_services, message, deadline=Deadline.after(PATIENCE_S * 10))
    stored = documents.get(f"/documents/{message.document_id}", as_=bob).json["chunks"]

    assert clock.pauses_s == pytest.approx([0.001 * len(batch) for batch in batched(range(stored), 64, strict=False)])


@pytest.mark.parametrize(
    ("took_s", "between_s", "pauses_s"),
    [(0.1, 0.0, [0.1]), (0.2, 0.0, [0.6]), (0.2, 0.5, [0.1]), (0.1, 0.5, []), (9.0, 0.0, [LONGEST_PAUSE_S])],
    ids=["as quick as others", "slower than others", "slower, with time between", "quick, with time between", "very slow"],
)
def test_a_batch_that_is_slower_than_others_leaves_the_database_for_longer(clock, took_s, between_s, pauses_s):
    share = DatabaseShare(documents=2)
    for seconds in (0.1, took_s):
        with share.transaction("chunks", rows=64):
            clock.passed_s(seconds)
    clock.passed_s(between_s)
    with share.transaction("chunks", rows=64):
        assert clock.pauses_s[1:] == pytest.approx(pauses_s)


def test_the_quickest_batch_of_all_tells_which_are_slow(clock):
    share = DatabaseShare(documents=2)
    for seconds in (0.2, 0.1, 0.2):
        with share.transaction("chunks", rows=64):
            clock.passed_s(seconds)
    share.wait()

    assert clock.pauses_s == pytest.approx([0.2, 0.1, 0.6])
