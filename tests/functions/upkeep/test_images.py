"""The files of images whose conversation was deleted."""

import boto3
import pytest
from sqlalchemy import text

from parley.db import outbox
from parley.db.transactions import user_scope
from parley.jobs import OutboxJob
from tests.support.images import PNG_DATA_URL


@pytest.fixture
def made(chat, alice):
    """A conversation with an image."""
    body = {"message": "what?", "model": "seeing", "images": [PNG_DATA_URL], "stream": False}
    return chat.post("/chat", body, as_=alice).json["conversation_id"]


@pytest.fixture
def keys(environment, alice):
    bucket = boto3.resource("s3").Bucket(environment["PARLEY_FILES_BUCKET"])
    return lambda: [found.key for found in bucket.objects.filter(Prefix=f"images/{alice.id}/")]


@pytest.fixture
def orders(engine, alice):
    """What the outbox has for alice, as messages."""

    def orders():
        with user_scope(engine, alice.id) as connection:
            found = connection.execute(
                text("SELECT id, topic, subject_id FROM outbox WHERE due_at <= now() AND user_id = :u"), {"u": alice.id}
            )
            return [OutboxJob.of(outbox.OutboxEntry(alice.id, row.id, row.topic, row.subject_id)) for row in found]

    return orders


def test_an_image_goes_with_its_conversation(upkeep, conversation, alice, made, keys, orders):
    assert len(keys()) == 1
    conversation.delete(f"/conversations/{made}", as_=alice)
    (order,) = orders()

    assert upkeep.deliver(order, order) == []
    assert (order.topic, keys(), orders()) == ("erase_image", [], [])


def test_an_image_that_a_fork_shows_stays_until_that_goes_too(upkeep, conversation, alice, made, keys, orders):
    fork = conversation.post(f"/conversations/{made}/fork", {"upto_seq": 1}, as_=alice).json["id"]
    conversation.delete(f"/conversations/{made}", as_=alice)
    upkeep.deliver(*orders())
    assert len(keys()) == 1

    conversation.delete(f"/conversations/{fork}", as_=alice)
    upkeep.deliver(*orders())
    assert keys() == []


def test_a_conversation_without_images_orders_nothing(chat, conversation, alice, orders):
    made = chat.post("/chat", {"message": "hello", "stream": False}, as_=alice).json["conversation_id"]
    conversation.delete(f"/conversations/{made}", as_=alice)

    assert orders() == []
