"""One run of an import: its batches, its progress, the delays that it names to the queue, and what it does not do twice."""

import json
from dataclasses import dataclass, field, replace
from uuid import UUID

import boto3
import pytest

from functions.ingest.imports import run
from functions.ingest.imports.errors import CorruptExport
from functions.ingest.messages import ImportMessage
from parley.clock import utc_now
from parley.db.vectors import Vector
from parley.deadline import Deadline
from parley.errors import NotFound
from parley.llm.catalogue import NoModel
from parley.llm.errors import ProviderTimeout
from tests.fakes.chat_exports import chatgpt_conversation, chatgpt_message, chatgpt_photo, zipped


@dataclass
class RecordingQueue:
    """A queue that records the delay of each message."""

    delays_s: list[float] = field(default_factory=list)

    def send_import(self, *_, delay_s=0, **__):
        self.delays_s.append(delay_s)


class ReadyEmbedding:
    """An embedding model that always answers."""

    def model_name(self):
        return "lexical"

    def vectors(self, texts, *, deadline, **_):
        assert deadline.left_s > 0  # what has arrived waits for a database that is briefly away
        return [Vector("lexical", [1.0]) for _text in texts]


@dataclass
class FailingEmbedding(ReadyEmbedding):
    """An embedding model that never answers."""

    failure: Exception

    def vectors(self, texts, **_):
        raise self.failure


TOO_SLOW = ProviderTimeout("acme", "too slow")


def talks(count, **fields):
    nodes = [chatgpt_message("q", "user", "Why?", parent="root"), chatgpt_message("a", "assistant", "So.", parent="q")]
    return json.dumps([chatgpt_conversation(*nodes, id=f"c{number}") | fields for number in range(count)]).encode()


@pytest.fixture
def requested(documents, ingest, alice):
    """Return a function that requests an import and uploads its file, unless there is none."""
    from functions.ingest.app import services

    def request(content=None):
        size = len(content or b"[]")
        message = ImportMessage(
            alice.id, UUID(documents.post("/conversations/imports", {"filename": "a.zip", "bytes": size}, as_=alice).json["id"])
        )
        if content:
            services.import_files.put(message.file_key, content, media_type="application/json")
        return message

    return request


@pytest.fixture
def ran(ingest, documents, alice):
    """Return a function that runs an import and returns it as the API shows it."""
    from functions.ingest.app import services

    def ran(message, *, left_s=300.0, **changed):
        run.run_import(replace(services, **changed), message, deadline=Deadline.after(left_s))
        return documents.get(f"/conversations/imports/{message.import_id}", as_=alice).json

    return ran


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (20, [20]), (21, [20, 1]), (40, [20, 20])])
def test_twenty_conversations_are_stored_at_a_time(count, sizes):
    assert [len(batch) for batch in run._batches(iter(range(count)))] == sizes


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (20, [20]), (21, [20, 1])])
def test_what_precedes_the_damage_of_a_file_is_stored(count, sizes):
    def results():
        yield from range(count)
        raise CorruptExport("x")

    stored = []
    with pytest.raises(CorruptExport):
        stored.extend(len(batch) for batch in run._batches(results()))

    assert stored == sizes


@pytest.mark.parametrize(("left_s", "delay_s"), [(300, 390), (850, 900)])
def test_another_worker_looks_at_an_import_after_the_deadline_and_the_lease(requested, ran, left_s, delay_s):
    queue = RecordingQueue()
    ran(requested(talks(1)), left_s=left_s, queue=queue)

    assert queue.delays_s == [pytest.approx(delay_s, abs=20)]


@pytest.mark.parametrize(
    ("minutes", "status", "delays_s"), [(74, "queued", [900]), (76, "queued", []), (24 * 60 - 1, "queued", []), (24 * 60 + 1, "failed", [])]
)
def test_a_file_is_looked_for_while_it_may_be_uploaded_and_waited_for_a_day(requested, ran, postgres, minutes, status, delays_s):
    message, queue = requested(), RecordingQueue()
    postgres.execute(f"UPDATE imports SET created_at = now() - interval '{minutes} minutes' WHERE id = '{message.import_id}'")

    assert (ran(message, queue=queue)["status"], queue.delays_s) == (status, delays_s)


@pytest.mark.parametrize(("failures", "code"), [(2, None), (3, "given_up")])
def test_an_import_is_given_up_after_three_failures(requested, ran, postgres, failures, code):
    message = requested()
    postgres.execute(f"UPDATE imports SET failures = {failures} WHERE id = '{message.import_id}'")

    assert ran(message)["error_code"] == code


def test_an_import_whose_conversations_are_stored_needs_its_file_no_more(requested, ran, postgres):
    message = requested()
    postgres.execute(f"UPDATE imports SET progress = 0.5 WHERE id = '{message.import_id}'")

    assert ran(message)["status"] == "ready"


@pytest.mark.parametrize("count", [1, 3])
def test_the_progress_of_an_import_grows_with_its_conversations_and_their_passages(requested, ran, monkeypatch, count):
    shown, report = [], run.imports.report_progress
    monkeypatch.setattr(run, "EMBED_BATCH", 1)
    monkeypatch.setattr(run.imports, "report_progress", lambda *args, **values: shown.append(values["progress"]) or report(*args, **values))
    ran(requested(talks(count)), embedding=ReadyEmbedding())

    embedded = [0.5 + 0.5 * min(number / count, 0.99) for number in range(1, count + 1)]
    assert shown == pytest.approx([0.495, 0.5, *embedded])


def test_a_model_that_fails_gets_64_passages_then_16_then_four(requested, ran, monkeypatch):
    sizes, read = [], run.passages.without_vector
    monkeypatch.setattr(run.passages, "without_vector", lambda *args, **options: sizes.append(options["limit"]) or read(*args, **options))
    ran(requested(talks(1)), embedding=FailingEmbedding(TOO_SLOW), queue=RecordingQueue())

    assert sizes == [64, 16, 4]


@pytest.mark.parametrize(
    ("failure", "status", "delays_s"), [(TOO_SLOW, "processing", [60]), (NoModel("none"), "ready", [])], ids=["fails", "does not exist"]
)
def test_a_model_that_fails_is_asked_again_in_a_minute_and_one_that_does_not_exist_never(requested, ran, failure, status, delays_s):
    queue = RecordingQueue()
    shown = ran(requested(talks(1)), embedding=FailingEmbedding(failure), queue=queue)

    assert (shown["status"], queue.delays_s[1:]) == (status, delays_s)


@pytest.mark.parametrize(("age_days", "added"), [(29, 1), (31, 0)])
def test_a_users_retention_is_that_of_the_deployment_unless_chosen(requested, ran, age_days, added):
    at = utc_now().timestamp() - age_days * 24 * 3600
    nodes = [chatgpt_message("q", "user", "Why?", parent="root", create_time=at)]
    content = json.dumps([chatgpt_conversation(*nodes) | {"create_time": at, "update_time": at}]).encode()

    assert ran(requested(content), retention_days=30)["conversations_added"] == added


def test_images_of_a_conversation_that_is_unchanged_are_not_stored_again(requested, ran, monkeypatch):
    from functions.ingest.app import services

    ran(requested(photo := zipped([chatgpt_photo()])))
    again = requested(photo)
    monkeypatch.setattr(services.import_files, "put", lambda *_, **__: pytest.fail("it is stored again"))

    assert ran(again)["conversations_unchanged"] == 1


def test_images_of_a_conversation_older_than_the_retention_are_not_stored(requested, ran, auth, alice, environment):
    auth.patch("/auth/me", {"retention_days": 30}, as_=alice)
    run = ran(requested(zipped([chatgpt_photo()])))
    stored = boto3.client("s3").list_objects_v2(Bucket=environment["PARLEY_FILES_BUCKET"], Prefix=f"images/{alice.id}/")

    assert "expired" in [entry["code"] for entry in run["left_out"]]
    assert stored["KeyCount"] == 0


def test_images_of_an_import_that_is_deleted_meanwhile_are_deleted(requested, ran, postgres, monkeypatch):
    from functions.ingest.app import services

    message, keys, put = requested(zipped([chatgpt_photo()])), [], services.import_files.put

    def put_and_delete(key, content, *, media_type):
        keys.append(key)
        put(key, content, media_type=media_type)
        assert services.import_files.has(key)
        postgres.execute(f"DELETE FROM imports WHERE id = '{message.import_id}'")

    monkeypatch.setattr(services.import_files, "put", put_and_delete)
    with pytest.raises(NotFound):
        ran(message)

    assert [services.import_files.has(key) for key in keys] == [False]


def test_images_of_an_import_that_another_worker_has_ended_stay(requested, ran, postgres, monkeypatch):
    from functions.ingest.app import services

    message, keys, put = requested(zipped([chatgpt_photo()])), [], services.import_files.put

    def put_late(key, content, *, media_type):
        monkeypatch.setattr(services.import_files, "put", put)
        put(key, content, media_type=media_type)
        keys.append(key)
        postgres.execute(f"UPDATE imports SET leased_until = now() - interval '1 second' WHERE id = '{message.import_id}'")
        assert ran(message)["status"] == "ready"

    monkeypatch.setattr(services.import_files, "put", put_late)
    with pytest.raises(NotFound):
        ran(message)

    assert [services.import_files.has(key) for key in keys] == [True]
