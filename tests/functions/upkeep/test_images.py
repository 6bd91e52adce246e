"""Files of images whose conversation is deleted."""

import boto3
import pytest
from sqlalchemy import text

from parley.db import outbox
from parley.db.transactions import user_scope
from parley.jobs import OutboxJob
from tests.support.images import PNG_DATA_URL


@pytest.fixture
def conversation_id(chat, alice):
    """Return the id of a conversation with an image."""
    body = {"message": "what?", "model": "seeing", "images": [PNG_DATA_URL], "stream": False}
    return chat.post("/chat", body, as_=alice).json["conversation_id"]


@pytest.fixture
def keys(environment, alice):
    bucket = boto3.resource("s3").Bucket(environment["PARLEY_FILES_BUCKET"])
    return lambda: [file.key for file in bucket.objects.filter(Prefix=f"images/{alice.id}/")]


@pytest.fixture
def due_jobs(engine, alice):
    """Return Alice's due outbox entries as jobs."""

    def due_jobs():
        with user_scope(engine, alice.id) as connection:
            entries = connection.execute(
                text("SELECT id, topic, subject_id FROM outbox WHERE due_at <= now() AND user_id = :u"), {"u": alice.id}
            )
            return [OutboxJob.of(outbox.OutboxEntry(alice.id, row.id, row.topic, row.subject_id)) for row in entries]

    return due_jobs


def test_an_image_is_deleted_with_its_conversation(upkeep, conversation, alice, conversation_id, keys, due_jobs):
    assert len(keys()) == 1
    conversation.delete(f"/conversations/{conversation_id}", as_=alice)
    (job,) = due_jobs()

    assert upkeep.deliver(job, job) == []
    assert (job.topic, keys(), due_jobs()) == ("erase_image", [], [])


def test_an_image_shared_with_a_fork_stays_until_both_are_deleted(upkeep, conversation, alice, conversation_id, keys, due_jobs):
    fork = conversation.post(f"/conversations/{conversation_id}/fork", {"upto_seq": 1}, as_=alice).json["id"]
    conversation.delete(f"/conversations/{conversation_id}", as_=alice)
    upkeep.deliver(*due_jobs())
    assert len(keys()) == 1

    conversation.delete(f"/conversations/{fork}", as_=alice)
    upkeep.deliver(*due_jobs())
    assert keys() == []


def test_deleting_a_conversation_without_images_queues_nothing(chat, conversation, alice, due_jobs):
    conversation_id = chat.post("/chat", {"message": "hello", "stream": False}, as_=alice).json["conversation_id"]
    conversation.delete(f"/conversations/{conversation_id}", as_=alice)

    assert due_jobs() == []
