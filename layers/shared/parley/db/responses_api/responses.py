"""Stored responses of the Responses API. A chain of responses that continue each other is a conversation of the client.

A response that runs in the background has a heartbeat, and logs the pieces of its answer. Of all processes that end it, only the first
one does: the row then has no heartbeat any more.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, literal_column, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from parley.db.tables import responses
from parley.db.turn.turns import STALE_AFTER
from parley.errors import InvalidInput, NotFound

type Item = dict[str, Any]
# A piece of an answer as JSON, for `functions.chat.responses_api.pieces` to read.
type Piece = list[Any]

# A user's responses beyond this number are deleted, oldest first: a request may have 4 MB, and a client stores each of its requests.
MAX_STORED = 2000
# A chain has at most as many responses as a request may have items.
MAX_CHAIN = 4096
_CHAIN = text(
    """
    WITH RECURSIVE chain AS (
        SELECT id, previous_id, input, document -> 'output' AS output, heartbeat_at IS NOT NULL AS is_running, 1 AS age
          FROM responses WHERE user_id = :user_id AND id = :id
        UNION ALL
        SELECT r.id, r.previous_id, r.input, r.document -> 'output', r.heartbeat_at IS NOT NULL, c.age + 1
          FROM chain c JOIN responses r ON r.user_id = :user_id AND r.id = c.previous_id
         WHERE c.age < :max_chain
    )
    SELECT previous_id, input, output, is_running FROM chain ORDER BY age DESC
    """
)


class StillRunning(InvalidInput):
    """A response that is to be continued has no output yet, because it runs in the background."""

    def __init__(self) -> None:
        super().__init__("this response is still running; wait until it has ended", loc=("body", "previous_response_id"))


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response: the items of its request, and the document that the client received.

    While it runs in the background, the document has no output. `is_stale` means that the process that ran it is considered dead.
    """

    id: UUID
    previous_id: UUID | None
    input: Sequence[Item]
    document: Mapping[str, Any]
    is_running: bool = False
    is_stale: bool = False


# Ids sort by creation time.
_TRIM = text(
    """
    DELETE FROM responses
     WHERE user_id = :user_id
       AND id <= (SELECT id FROM responses WHERE user_id = :user_id ORDER BY id DESC OFFSET :max_stored LIMIT 1)
    """
)
_COLUMNS = [
    *(responses.c.id, responses.c.previous_id, responses.c.input, responses.c.document),
    responses.c.heartbeat_at.is_not(None).label("is_running"),
    literal_column(f"coalesce(heartbeat_at < clock_timestamp() - {STALE_AFTER}, false)").label("is_stale"),
]
_RECORD_PIECES = text(
    """
    WITH running AS (
        UPDATE responses SET heartbeat_at = clock_timestamp()
         WHERE user_id = :user_id AND id = :id AND heartbeat_at IS NOT NULL RETURNING id
    ), logged AS (
        INSERT INTO response_pieces (user_id, response_id, number, pieces)
        SELECT :user_id, id, :number, CAST(:pieces AS jsonb) FROM running WHERE jsonb_array_length(CAST(:pieces AS jsonb)) > 0
        ON CONFLICT DO NOTHING
    )
    SELECT EXISTS (SELECT FROM running)
    """
)
_PIECES = text(
    """
    SELECT number, pieces FROM response_pieces
     WHERE user_id = :user_id AND response_id = :id AND number >= :after ORDER BY number
    """
)


def store(connection: Connection, response: StoredResponse, *, user_id: UUID) -> None:
    """Store a response, and delete the user's oldest ones beyond `MAX_STORED`. A response that is stored already stays unchanged."""
    values = {"id": response.id, "previous_id": response.previous_id, "input": response.input, "document": response.document}
    connection.execute(upsert(responses).values(values | {"user_id": user_id}).on_conflict_do_nothing())
    connection.execute(_TRIM, {"user_id": user_id, "max_stored": MAX_STORED})


def begin(connection: Connection, response: StoredResponse, *, user_id: UUID) -> bool:
    """Store a response that begins to run in the background. Return False, and change nothing, if it is stored already."""
    values = {"id": response.id, "previous_id": response.previous_id, "input": response.input, "document": response.document}
    running = values | {"user_id": user_id, "heartbeat_at": func.clock_timestamp()}
    inserted = upsert(responses).values(running).on_conflict_do_nothing().returning(responses.c.id)
    is_new = connection.execute(inserted).one_or_none() is not None
    connection.execute(_TRIM, {"user_id": user_id, "max_stored": MAX_STORED})
    return is_new


def record_pieces(connection: Connection, response_id: UUID, pieces: Sequence[Piece], *, number: int, user_id: UUID) -> bool:
    """Log pieces, of which the first has this number, and refresh the heartbeat. Return False, and change nothing, if it does not run.

    Pieces that are logged already stay unchanged.
    """
    values = {"user_id": user_id, "id": response_id, "number": number, "pieces": json.dumps(pieces)}
    return bool(connection.execute(_RECORD_PIECES, values).scalar_one())


def pieces_after(connection: Connection, response_id: UUID, count: int, *, user_id: UUID) -> list[Piece]:
    """Return the logged pieces of a response after the `count` pieces that were read before."""
    rows = connection.execute(_PIECES, {"user_id": user_id, "id": response_id, "after": count})
    return [piece for row in rows for piece in row.pieces]


def finish(connection: Connection, response_id: UUID, document: Mapping[str, Any], *, user_id: UUID) -> bool:
    """End a response with its final document. Return False, and change nothing, if it does not run."""
    is_running = responses.c.heartbeat_at.is_not(None)
    ended = update(responses).where(*_is_response(response_id, user_id), is_running).values(document=document, heartbeat_at=None)
    return connection.execute(ended).rowcount == 1


def get(connection: Connection, response_id: UUID, *, user_id: UUID, for_update: bool = False) -> StoredResponse:
    """Return the response, or raise NotFound. With `for_update`, lock its row until the transaction ends."""
    statement = select(*_COLUMNS).where(*_is_response(response_id, user_id))
    row = connection.execute(statement.with_for_update() if for_update else statement).one_or_none()
    if row is None:
        raise NotFound("response", response_id)
    return StoredResponse(**row._mapping)


def remove(connection: Connection, response_id: UUID, *, user_id: UUID) -> None:
    """Delete the response, or raise NotFound. Responses that continue it cannot be continued any longer."""
    if connection.execute(delete(responses).where(*_is_response(response_id, user_id))).rowcount == 0:
        raise NotFound("response", response_id)


def history(connection: Connection, response_id: UUID, *, user_id: UUID) -> list[Item]:
    """Return the items of the response and of all before it, oldest first: each request's input, then its output.

    Raises NotFound if one of the responses does not exist, and StillRunning if one of them runs in the background.
    """
    rows = connection.execute(_CHAIN, {"user_id": user_id, "id": response_id, "max_chain": MAX_CHAIN}).all()
    if not rows or rows[0].previous_id is not None:
        raise NotFound("response", response_id)
    if any(row.is_running for row in rows):
        raise StillRunning
    return [item for row in rows for item in (*row.input, *row.output)]


def outputs(connection: Connection, response_ids: Collection[UUID], *, user_id: UUID) -> list[Item]:
    """Return the output items of these responses. A response that does not exist has none."""
    columns = responses.c
    rows = connection.execute(select(columns.document["output"]).where(columns.user_id == user_id, columns.id.in_(response_ids)))
    return [item for row in rows for item in row[0]]


def sweep(connection: Connection) -> int:
    """Delete responses older than 30 days and return their number. Requires the background role."""
    return connection.execute(text("DELETE FROM responses WHERE created_at < now() - interval '30 days'")).rowcount


def sweep_pieces(connection: Connection) -> int:
    """Delete pieces too old to be sent again and return the number of their rows. Requires the background role."""
    return connection.execute(text("DELETE FROM response_pieces WHERE at < now() - interval '25 hours'")).rowcount


def _is_response(response_id: UUID, user_id: UUID) -> tuple[Any, ...]:
    return responses.c.user_id == user_id, responses.c.id == response_id
