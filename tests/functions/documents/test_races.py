"""Concurrent uploads, ingestion and deletion of documents."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Barrier
from uuid import UUID

import boto3
import pytest

from functions.documents import library
from functions.documents.errors import TooManyDocuments
from functions.documents.library import announce_upload, store_document
from parley.db import documents as stored_documents
from parley.db.engine import make_engine
from parley.errors import Unavailable
from tests.support.builders import upload_document
from tests.support.concurrency import meet_after
from tests.support.queues import s3_notification

CLIENTS = 10
NAMES = {"filename": "notes.txt", "content_type": "text/plain", "title": None}


@contextmanager
def workers(database, services, count):
    """Yield the services of `count` Lambda workers, each with its own connections."""
    engines = [make_engine(database) for _ in range(count)]
    yield [replace(services, engine=engine, embedding=replace(services.embedding, engine=engine)) for engine in engines]
    for engine in engines:
        engine.dispose()


def run_concurrently(do: Callable[[object, object], object], firsts, seconds):
    """Run `do` for each pair concurrently."""
    barrier = Barrier(len(firsts))

    def begin(first, second):
        barrier.wait(30)
        return do(first, second)

    with ThreadPoolExecutor(len(firsts)) as pool:
        return list(pool.map(begin, firsts, seconds))


def chunks_of(postgres, person):
    return postgres.execute(f"SELECT count(*), count(DISTINCT document_id) FROM chunks WHERE user_id = '{person.id}'")


@pytest.fixture
def uploads(documents, database):
    """Return a function that uploads the same bytes for several people concurrently and returns the documents' ids."""
    from functions.documents.app import services

    def uploads(people, content):
        with workers(database, services, len(people)) as services_of_workers:
            return run_concurrently(
                lambda services, person: store_document(services, person.principal, content, **NAMES).id, services_of_workers, people
            )

    return uploads


def test_twenty_concurrent_uploads_of_the_same_bytes_make_one_document(uploads, ingest, postgres, alice):
    ids = uploads([alice] * CLIENTS, b"the same") + uploads([alice] * CLIENTS, b"the same")
    ingest.read(alice, str(ids[0])), ingest.read(alice, str(ids[0]))

    assert len(set(ids)) == 1
    assert chunks_of(postgres, alice) == [(1, 1)]


def test_concurrent_uploads_of_two_users_make_two_documents(uploads, ingest, postgres, alice, bob):
    ids = uploads([alice, bob] * (CLIENTS // 2), b"of two")
    for person, document_id in zip((alice, bob), ids, strict=False):
        ingest.read(person, str(document_id))

    assert (len(set(ids)), len(set(ids[::2]))) == (2, 1)
    assert [chunks_of(postgres, person) for person in (alice, bob)] == [[(1, 1)], [(1, 1)]]


@pytest.fixture
def sent(documents, environment):
    """Return a function that uploads a file by the S3 form and returns its document's id."""

    def sent(person, content):
        body = {"filename": "big.txt", "content_type": "text/plain", "bytes": len(content)}
        document_id = documents.post("/documents/uploads", body, as_=person).json["id"]
        key = f"documents/{person.id}/{document_id}"
        boto3.client("s3").put_object(Bucket=environment["PARLEY_FILES_BUCKET"], Key=key, Body=content)
        return document_id

    return sent


def read_at_once(database, person, ids):
    """Return a function that ingests documents concurrently, each in its own worker."""
    from functions.ingest.app import services
    from functions.ingest.messages import DocumentMessage
    from functions.ingest.pipeline import ingest
    from parley.deadline import Deadline

    def do(services, document_id):
        ingest(services, DocumentMessage(person.id, UUID(document_id)), deadline=Deadline.after(300))

    with workers(database, services, len(ids)) as services_of_workers:
        run_concurrently(do, services_of_workers, ids)


def test_of_the_same_bytes_sent_twice_by_forms_one_is_ready_and_one_a_duplicate(documents, sent, ingest, database, postgres, alice):
    ids = [sent(alice, b"by a form"), sent(alice, b"by a form")]
    read_at_once(database, alice, ids)

    items = [documents.get(f"/documents/{id}", as_=alice).json for id in ids]
    assert sorted((one["status"], one["error_code"]) for one in items) == [("failed", "duplicate"), ("ready", None)]
    assert chunks_of(postgres, alice) == [(1, 1)]


def test_of_five_workers_one_ingests_a_document(documents, ingest, database, postgres, alice):
    document_id = upload_document(documents, alice, "One of five.").json["id"]
    read_at_once(database, alice, [document_id] * 5)

    assert documents.get(f"/documents/{document_id}", as_=alice).json["status"] == "ready"
    assert chunks_of(postgres, alice) == [(1, 1)]


class Dying:
    """A file store whose caller dies before the file is stored."""

    def put(self, *content, **options):
        raise Unavailable("file store")


def test_an_upload_without_its_file_is_completed_by_the_same_bytes(documents, ingest, alice):
    from functions.documents.app import services

    with pytest.raises(Unavailable):
        store_document(replace(services, files=Dying()), alice.principal, b"cut off", **NAMES)
    (waiting,) = [one["id"] for one in documents.get("/documents", as_=alice).json["items"] if one["status"] == "queued"]
    again = upload_document(documents, alice, "cut off").json["id"]

    assert again == waiting
    assert ingest.read(alice, again) == []
    assert documents.get(f"/documents/{again}", as_=alice).json["status"] == "ready"


@pytest.mark.parametrize("media_type", ["text/" + "x" * 300, "t\u00e9xt/plain", "no type"])
def test_an_invalid_media_type_is_not_passed_to_the_store(documents, environment, alice, media_type):
    from functions.documents.app import services

    id = store_document(services, alice.principal, f"typed {media_type}".encode(), **NAMES | {"content_type": media_type}).id
    (key,) = [
        one["Key"]
        for one in boto3.client("s3").list_objects_v2(Bucket=environment["PARLEY_FILES_BUCKET"])["Contents"]
        if str(id) in one["Key"]
    ]

    assert boto3.client("s3").head_object(Bucket=environment["PARLEY_FILES_BUCKET"], Key=key)["ContentType"] == "application/octet-stream"


def test_a_document_deleted_while_its_file_is_stored_leaves_no_file(documents, ingest, environment, alice):
    from functions.documents.app import services

    class Deleting:
        def put(self, document_id, *content, **options):
            assert documents.delete(f"/documents/{document_id}", as_=alice).status == 204
            services.files.put(document_id, *content, **options)

    document_id = store_document(replace(services, files=Deleting()), alice.principal, b"gone at once", **NAMES).id
    ingest.deliver(s3_notification(alice, str(document_id)))

    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket=environment["PARLEY_FILES_BUCKET"], Prefix=f"documents/{alice.id}")


@pytest.mark.parametrize("way", ["upload", "form"])
def test_two_concurrent_uploads_of_the_last_document_store_one(documents, database, alice, monkeypatch, way):
    from functions.documents.app import services

    monkeypatch.setattr(library, "MAX_DOCUMENTS", 1)
    meet_after(monkeypatch, stored_documents, "count")

    def upload(services, content):
        try:
            if way == "upload":
                return store_document(services, alice.principal, content, **NAMES).status
            return bool(announce_upload(services, alice.principal, bytes=len(content), **NAMES))
        except TooManyDocuments as exc:
            return exc.code

    with workers(database, services, 2) as services_of_workers:
        results = run_concurrently(upload, services_of_workers, [b"the first", b"the second"])

    assert results.count("too_many_documents") == 1
