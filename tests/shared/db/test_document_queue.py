"""The queue of documents: which worker may have a document, what counts as a failure, and what the sweep finds."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from parley.db import documents, unfinished_documents
from parley.db.documents import Document, LeaseLost
from parley.db.transactions import user_scope
from parley.errors import NotFound
from parley.ids import new_id

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
LIVE, PAST = "now() + interval '1 minute'", "now() - interval '1 minute'"


class Queue:
    """The documents of one user, in one transaction."""

    def __init__(self, connection: Any, user_id: UUID) -> None:
        self.connection, self.user = connection, {"user_id": user_id}

    def add(self, *, sha256: bytes | None = None, **columns: str) -> UUID:
        """Store a document, and set columns to SQL expressions."""
        fields = {"title": "t", "filename": "t.txt", "content_type": "text/plain", "bytes": 1, "sha256": sha256}
        documents.add(self.connection, id := new_id(), **self.user, **fields)
        changes = ", ".join(f"{name} = {value}" for name, value in columns.items())
        if changes:
            self.connection.execute(text(f"UPDATE documents SET {changes} WHERE id = :id"), {"id": id})
        return id

    def get(self, id: UUID) -> Document:
        return documents.get(self.connection, id, **self.user)

    def acquire(self, id: UUID) -> Document | None:
        return documents.acquire_lease(self.connection, id, **self.user, lease_s=60)

    def expire(self, id: UUID) -> None:
        """End the lease, as if its time had passed."""
        self.connection.execute(text(f"UPDATE documents SET leased_until = {PAST} WHERE id = :id"), {"id": id})

    def renew(self, held: Document) -> datetime:
        return documents.renew_lease(self.connection, held.id, **self.user, held_until=held.leased_until, lease_s=600)

    def report(self, held: Document, progress: float) -> Document:
        """Report progress, and return the document with its new lease."""
        lease = {"held_until": held.leased_until, "lease_s": 60}
        return replace(held, leased_until=documents.report_progress(self.connection, held.id, **self.user, progress=progress, **lease))

    def release(self, held: Document, **how: Any) -> None:
        documents.release_lease(self.connection, held.id, **self.user, held_until=held.leased_until, **how)

    def requeue(self, held: Document) -> None:
        documents.requeue(self.connection, held.id, **self.user, held_until=held.leased_until)

    def fail(self, held: Document) -> None:
        documents.mark_failed(self.connection, held.id, **self.user, held_until=held.leased_until, code="corrupt", reason="Broken.")

    def finish(self, held: Document) -> None:
        documents.mark_ready(self.connection, held.id, **self.user, held_until=held.leased_until, chunks=1, note=None)

    def count_chunks(self, held: Document) -> None:
        documents.set_chunk_count(self.connection, held.id, **self.user, held_until=held.leased_until, chunks=9)

    def hash(self, held: Document, sha256: bytes = b"9" * 32) -> Document | None:
        return documents.set_content_hash(self.connection, held.id, sha256, **self.user, held_until=held.leased_until)

    def processed(self) -> int:
        return documents.lock_processed(self.connection, **self.user)


@pytest.fixture
def queue(engine, alice):
    with user_scope(engine, alice.id) as connection:
        yield Queue(connection, alice.id)
        connection.rollback()


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        ({}, "processing"),
        ({"leased_until": PAST}, "processing"),
        ({"status": "'ready'"}, "ready"),
        ({"leased_until": LIVE}, None),
        ({"status": "'failed'"}, None),
    ],
)
def test_one_worker_has_a_document_and_none_has_a_failed_one(queue, columns, status):
    leased = queue.acquire(id := queue.add(**columns))

    assert (leased and leased.status) == status
    assert queue.acquire(id) is None
    assert (queue.get(id).attempts, queue.get(id).failures) == ((1, 1) if status else (0, 0))


def test_an_unknown_document_is_not_found(queue):
    for change in (queue.acquire, lambda id: documents.set_waiting(queue.connection, id, **queue.user)):
        with pytest.raises(NotFound):
            change(new_id())


@pytest.mark.parametrize(("is_excused", "failures"), [(True, 2), (False, 3)])
def test_an_excused_attempt_is_no_failure(queue, is_excused, failures):
    held, without_failures = queue.acquire(queue.add(failures="2")), queue.get(queue.add(leased_until=LIVE))
    for each in (held, without_failures):
        queue.release(each, is_excused=is_excused)

    assert (queue.get(held.id).failures, queue.get(without_failures.id).failures) == (failures, 0)
    assert queue.acquire(held.id)


def test_a_released_document_stays_leased_for_the_delay_without_a_worker(queue):
    held = queue.acquire(id := queue.add())
    before = queue.processed()
    queue.release(held, after_s=30)

    assert (before, queue.processed(), queue.acquire(id), queue.get(id).failures) == (1, 0, None, 1)


def test_a_document_that_is_ready_has_not_failed(queue):
    queue.finish(queue.acquire(id := queue.add()))

    assert (queue.get(id).status, queue.get(id).failures, queue.get(id).progress) == ("ready", 0, 1)
    queue.connection.execute(text(f"UPDATE documents SET leased_until = {LIVE} WHERE id = :id"), {"id": id})
    assert queue.processed() == 0


def test_progress_never_falls_ends_failures_and_keeps_the_lease(queue):
    held = queue.acquire(id := queue.add())
    shown = []
    for progress in (0.5, 0.25):
        held = queue.report(held, progress)
        shown.append((queue.get(id).progress, queue.get(id).failures, queue.get(id).attempts))
    ready = queue.acquire(queue.add(status="'ready'", progress="1"))
    queue.report(ready, 0.5)

    assert (shown, queue.get(ready.id).progress, queue.acquire(id)) == ([(0.5, 0, 0)] * 2, 1.0, None)


def test_a_renewed_lease_lasts_longer_and_its_attempt_still_counts(queue):
    held = queue.acquire(id := queue.add())
    until = queue.renew(held)

    assert until > held.leased_until
    assert (queue.get(id).leased_until, queue.get(id).attempts, queue.get(id).failures) == (until, 1, 1)


@pytest.mark.parametrize(("take", "lease_s"), [("acquire", 60), ("renew", 600)])
def test_a_lease_lasts_as_long_as_is_asked(queue, take, lease_s):
    held = queue.acquire(queue.add())
    until = held.leased_until if take == "acquire" else queue.renew(held)
    now = queue.connection.scalar(text("SELECT clock_timestamp()"))

    assert lease_s - 30 < (until - now).total_seconds() <= lease_s


def test_a_lease_that_has_ended_is_renewed_while_nobody_has_taken_it(queue):
    held = queue.acquire(id := queue.add(leased_until=PAST))
    queue.connection.execute(text("UPDATE documents SET leased_until = :past WHERE id = :id"), {"past": LONG_AGO, "id": id})
    queue.renew(replace(held, leased_until=LONG_AGO))

    assert queue.acquire(id) is None


CHANGES = {
    "renew": Queue.renew,
    "report": lambda queue, held: queue.report(held, 0.9),
    "release": Queue.release,
    "release later": lambda queue, held: queue.release(held, after_s=30, is_excused=True),
    "requeue": Queue.requeue,
    "fail": Queue.fail,
    "finish": Queue.finish,
    "count the chunks": Queue.count_chunks,
    "store the hash": Queue.hash,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_worker_that_was_too_slow_changes_nothing_of_the_document_of_the_next(queue, change):
    slow = queue.acquire(id := queue.add())
    queue.expire(id)
    taken = queue.acquire(id)
    with pytest.raises(LeaseLost):
        change(queue, slow)

    assert queue.get(id) == taken
    assert documents.find_by_content(queue.connection, b"9" * 32, **queue.user) is None
    change(queue, taken)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_worker_that_was_too_slow_changes_nothing_of_a_document_that_another_has_finished(queue, change):
    slow = queue.acquire(id := queue.add())
    queue.expire(id)
    queue.finish(queue.acquire(id))
    finished = queue.get(id)
    with pytest.raises(LeaseLost):
        change(queue, slow)

    assert queue.get(id) == finished


def test_a_lease_of_a_deleted_document_is_not_found(queue):
    held = queue.acquire(queue.add())
    documents.remove(queue.connection, held.id, **queue.user)

    for change in CHANGES.values():
        with pytest.raises(NotFound):
            change(queue, held)


@pytest.mark.parametrize(
    ("columns", "count"),
    [({"leased_until": LIVE}, 1), ({"leased_until": PAST}, 0), ({"has_worker": "false", "leased_until": LIVE}, 0)],
)
def test_only_documents_with_a_live_worker_take_a_share(queue, columns, count):
    queue.add(**{"has_worker": "true"} | columns)

    assert queue.processed() == count


def test_documents_wait_in_order_and_are_taken_once(queue):
    ids = {status: queue.add(status=f"'{status}'") for status in ("ready", "queued", "processing", "failed")}
    leased = queue.add(leased_until=LIVE)
    for id in (*ids.values(), leased):
        documents.set_waiting(queue.connection, id, **queue.user)
    taken = [documents.take_waiting(queue.connection, **queue.user, limit=limit) for limit in (1, 5, 5)]

    assert [taken[0], set(taken[1]), taken[2]] == [[ids["processing"]], {ids["queued"], ids["ready"]}, []]


def test_another_users_waiting_document_is_neither_taken_nor_counted(engines, alice, bob):
    with engines["owner"].connect() as connection:
        waiting = Queue(connection, alice.id).add(is_waiting="true")
        Queue(connection, bob.id).add(is_waiting="true", status="'processing'")

        assert documents.take_waiting(connection, user_id=alice.id, limit=1) == [waiting]


def test_a_document_whose_file_is_missing_is_queued_as_if_new(queue):
    queue.requeue(queue.acquire(id := queue.add()))

    assert (queue.get(id).status, queue.get(id).attempts, queue.get(id).failures) == ("queued", 0, 0)
    queue.connection.execute(text(f"UPDATE documents SET leased_until = {LIVE} WHERE id = :id"), {"id": id})
    assert queue.processed() == 0


def test_a_new_document_is_returned_unless_its_bytes_are_there_already(queue):
    fields = {"title": "t", "filename": "t.txt", "content_type": "text/plain", "bytes": 1, "sha256": b"7" * 32}
    added = [documents.add(queue.connection, new_id(), **queue.user, **fields) for _ in range(2)]

    assert (added[0], added[1]) == (queue.get(added[0].id), None)


@pytest.mark.parametrize(("status", "is_failed"), [("queued", True), ("processing", True), ("ready", False), ("failed", False)])
def test_only_an_unfinished_document_fails(queue, status, is_failed):
    id = queue.add(status=f"'{status}'", chunks="3", leased_until=LIVE)
    try:
        queue.fail(queue.get(id))
    except LeaseLost:
        assert not is_failed
    else:
        assert is_failed
        assert (queue.get(id).status, queue.get(id).chunks, queue.get(id).error_code) == ("failed", 0, "corrupt")


def test_the_same_file_is_found_unless_it_failed(queue):
    first, failed = queue.add(sha256=b"1" * 32), queue.add(sha256=b"2" * 32, status="'failed'")
    found = [documents.find_by_content(queue.connection, sha256, **queue.user) for sha256 in (b"1" * 32, b"2" * 32, b"3" * 32)]
    duplicate = queue.hash(queue.acquire(queue.add()), b"1" * 32)

    assert [each and each.id for each in found] == [first, None, None]
    assert (duplicate.id, queue.get(failed).status) == (first, "failed")


def test_the_sweep_finds_stalled_documents_oldest_first_and_not_those_that_a_worker_will_queue(engines, alice, bob):
    long_ago = "now() - interval '40 years' + interval '{} hours'"
    with engines["owner"].connect() as connection:
        mine, other = Queue(connection, alice.id), Queue(connection, bob.id)
        found = [mine.add(created_at=long_ago.format(1)), mine.add(created_at=long_ago.format(2), leased_until=PAST, status="'processing'")]
        mine.add(created_at=long_ago.format(0), leased_until=LIVE)
        mine.add(created_at=long_ago.format(0), is_waiting="true")
        mine.add(created_at=long_ago.format(0), status="'ready'")
        mine.add(created_at=long_ago.format(0), status="'failed'")
        new = mine.add()
        found.append(other.add(created_at=long_ago.format(3), is_waiting="true"))
        stalled = unfinished_documents.find_stalled(connection, limit=3, older_than_s=30)
        all_stalled = unfinished_documents.find_stalled(connection, limit=10**6, older_than_s=30)

    assert [id for _, id in stalled] == found
    assert (alice.id, new) not in all_stalled
