"""What tests of follow-up work ask the database, and a desk whose models play a script."""

from typing import Any

import boto3
import pytest
from sqlalchemy import text


@pytest.fixture
def rows(engines):
    """Ask as the owner of the database."""

    def rows(sql: str, **values: Any) -> list[tuple[Any, ...]]:
        with engines["owner"].begin() as connection:
            return [tuple(row) for row in connection.execute(text(sql), values)]

    return rows


@pytest.fixture
def change(engines):
    """Change something behind the API's back."""

    def change(sql: str, **values: Any) -> None:
        with engines["owner"].begin() as connection:
            connection.execute(text(sql), values)

    return change


@pytest.fixture(autouse=True)
def _nothing_waits(change):
    """Drop what the turns of other tests left to be done: a schedule takes all of it."""
    change("DELETE FROM outbox WHERE topic IN ('title', 'remember')")


@pytest.fixture
def say(chat):
    """Say something and return the conversation's id."""

    def say(person: Any, message: str, conversation_id: str | None = None, **fields: Any) -> str:
        asked = {"message": message, "stream": False} | ({"conversation_id": conversation_id} if conversation_id else {}) | fields
        answer = chat.post("/chat", asked, as_=person)
        assert answer.status == 200, answer.body
        return answer.json["conversation_id"]

    return say


@pytest.fixture
def waiting(environment):
    """Count what is in the queue of follow-up work, seen or not yet."""
    url = environment["PARLEY_MEMORY_QUEUE_URL"]

    def waiting() -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]
        counts = boto3.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(map(int, counts.values()))

    return waiting
