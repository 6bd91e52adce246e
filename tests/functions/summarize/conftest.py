"""Fixtures for follow-up work: database queries, chat turns and the queue."""

from typing import Any

import boto3
import pytest
from sqlalchemy import text


@pytest.fixture
def rows(engines):
    """Run a query as the owner of the database."""

    def rows(sql: str, **values: Any) -> list[tuple[Any, ...]]:
        with engines["owner"].begin() as connection:
            return [tuple(row) for row in connection.execute(text(sql), values)]

    return rows


@pytest.fixture
def change(engines):
    """Change rows directly in the database."""

    def change(sql: str, **values: Any) -> None:
        with engines["owner"].begin() as connection:
            connection.execute(text(sql), values)

    return change


@pytest.fixture(autouse=True)
def _nothing_waits(change):
    """Delete the jobs that other tests left: a scheduled run would take them all."""
    change("DELETE FROM outbox WHERE topic IN ('title', 'remember')")


@pytest.fixture
def say(chat):
    """Send a chat message and return the conversation's id."""

    def say(person: Any, message: str, conversation_id: str | None = None, **fields: Any) -> str:
        body = {"message": message, "stream": False} | ({"conversation_id": conversation_id} if conversation_id else {}) | fields
        response = chat.post("/chat", body, as_=person)
        assert response.status == 200, response.body
        return response.json["conversation_id"]

    return say


@pytest.fixture
def waiting(environment):
    """Count the messages in the memory queue, visible or delayed."""
    url = environment["PARLEY_MEMORY_QUEUE_URL"]

    def waiting() -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]
        counts = boto3.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(map(int, counts.values()))

    return waiting
