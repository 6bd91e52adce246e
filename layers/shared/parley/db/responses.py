"""Stored responses of the Responses API. A chain of responses that continue each other is a conversation of the client."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from parley.db.tables import responses
from parley.errors import NotFound

type Item = dict[str, Any]

# A user's responses beyond this number are deleted, oldest first: a request may have 4 MB, and a client stores each of its requests.
MAX_STORED = 2000
# A chain has at most as many responses as a request may have items.
MAX_CHAIN = 4096
_CHAIN = text(
    """
    WITH RECURSIVE chain AS (
        SELECT id, previous_id, input, document -> 'output' AS output, 1 AS age
          FROM responses WHERE user_id = :user_id AND id = :id
        UNION ALL
        SELECT r.id, r.previous_id, r.input, r.document -> 'output', c.age + 1
          FROM chain c JOIN responses r ON r.user_id = :user_id AND r.id = c.previous_id
         WHERE c.age < :max_chain
    )
    SELECT previous_id, input, output FROM chain ORDER BY age DESC
    """
)


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response: the items of its request, and the document that the client received."""

    id: UUID
    previous_id: UUID | None
    input: Sequence[Item]
    document: Mapping[str, Any]


# Ids sort by creation time.
_TRIM = text(
    """
    DELETE FROM responses
     WHERE user_id = :user_id
       AND id <= (SELECT id FROM responses WHERE user_id = :user_id ORDER BY id DESC OFFSET :max_stored LIMIT 1)
    """
)
_COLUMNS = [responses.c.id, responses.c.previous_id, responses.c.input, responses.c.document]


def store(connection: Connection, response: StoredResponse, *, user_id: UUID) -> None:
    """Store a response, and delete the user's oldest ones beyond `MAX_STORED`. A response that is stored already stays unchanged."""
    values = {"id": response.id, "previous_id": response.previous_id, "input": response.input, "document": response.document}
    connection.execute(upsert(responses).values(values | {"user_id": user_id}).on_conflict_do_nothing())
    connection.execute(_TRIM, {"user_id": user_id, "max_stored": MAX_STORED})


def get(connection: Connection, response_id: UUID, *, user_id: UUID) -> StoredResponse:
    """Return the response, or raise NotFound."""
    row = connection.execute(select(*_COLUMNS).where(*_is_response(response_id, user_id))).one_or_none()
    if row is None:
        raise NotFound("response", response_id)
    return StoredResponse(**row._mapping)


def remove(connection: Connection, response_id: UUID, *, user_id: UUID) -> None:
    """Delete the response, or raise NotFound. Responses that continue it cannot be continued any longer."""
    if connection.execute(delete(responses).where(*_is_response(response_id, user_id))).rowcount == 0:
        raise NotFound("response", response_id)


def history(connection: Connection, response_id: UUID, *, user_id: UUID) -> list[Item]:
    """Return the items of the response and of all before it, oldest first: each request's input, then its output.

    Raises NotFound if one of the responses does not exist.
    """
    rows = connection.execute(_CHAIN, {"user_id": user_id, "id": response_id, "max_chain": MAX_CHAIN}).all()
    if not rows or rows[0].previous_id is not None:
        raise NotFound("response", response_id)
    return [item for row in rows for item in (*row.input, *row.output)]


def outputs(connection: Connection, response_ids: Collection[UUID], *, user_id: UUID) -> list[Item]:
    """Return the output items of these responses. A response that does not exist has none."""
    columns = responses.c
    rows = connection.execute(select(columns.document["output"]).where(columns.user_id == user_id, columns.id.in_(response_ids)))
    return [item for row in rows for item in row[0]]


def sweep(connection: Connection) -> int:
    """Delete responses older than 30 days and return their number. Requires the background role."""
    return connection.execute(text("DELETE FROM responses WHERE created_at < now() - interval '30 days'")).rowcount


def _is_response(response_id: UUID, user_id: UUID) -> tuple[Any, ...]:
    return responses.c.user_id == user_id, responses.c.id == response_id
