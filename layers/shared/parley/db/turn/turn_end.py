"""The end of a turn: stores its result exactly once, with everything that clients have received."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, Row, text

from parley.db import messages, outbox, passages
from parley.db.messages import StoredMessage
from parley.db.outbox import OutboxEntry
from parley.db.turn import turn_events
from parley.db.turn.turn_events import LoggedEvent
from parley.db.turn.turns import STALE_AFTER, TurnStatus
from parley.ids import new_id
from parley.memory.passages import SaidMessage, Utterance, split_into_passages


@dataclass(frozen=True, slots=True)
class TurnResult:
    """The outcome of a turn. `message_id` is None if no answer is stored, and `question` if its text must be read."""

    status: TurnStatus
    message_id: UUID | None
    parts: Sequence[Mapping[str, Any]]
    model: str
    entries: Sequence[LoggedEvent]
    last_event: int
    error_code: str | None = None
    finish_reason: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    first_token_ms: float | None = None
    total_ms: float | None = None
    question: str | None = None


@dataclass(frozen=True, slots=True)
class EndedTurn:
    """An ended turn: the stored answer, if any, and the outbox entries to send after the commit.

    `passages` are the ids and texts of the turn's passages, which have no vectors yet.
    """

    answer: StoredMessage | None
    follow_up: Sequence[OutboxEntry]
    passages: Sequence[tuple[UUID, str]] = ()


def finish(
    connection: Connection,
    turn_id: UUID,
    turn_result: TurnResult,
    *,
    user_id: UUID,
    conversation_id: UUID,
    only_if_stale: bool = False,
    was: Literal["running", "waiting"] = "running",
) -> EndedTurn | None:
    """Store the result of an open turn, its answer, its last events and the follow-up jobs, in one statement.

    A second statement stores question and answer as passages, so that search by words finds them at once.

    Earlier answers to the same question stay as variants. The new answer becomes the active variant, unless it is empty.
    Returns None, and stores nothing, if the turn's status is no longer `was`, if the turn was deleted with its conversation, or
    if `only_if_stale` is set and its heartbeat is recent. If the turn is stale or waiting, the follow-up jobs are not returned
    but due now, and the outbox's sweep sends them.
    """
    values = {name: getattr(turn_result, name) for name in _RESULT_FIELDS} | {
        "user_id": user_id,
        "turn_id": turn_id,
        "conversation_id": conversation_id,
        "parts": json.dumps(list(turn_result.parts)),
        "entries": turn_events.events_json(turn_result.entries),
        "only_if_stale": only_if_stale,
        "sent_later": only_if_stale or was == "waiting",
        "remember_id": new_id(),
        "title_id": new_id(),
        "was": was,
        "says_something": any(part.get("text") for part in turn_result.parts),
    }
    row = connection.execute(_FINISH, values).one()
    if not row.is_ended:
        return None
    answer, stored_passages = _answer_message(row, turn_result, conversation_id), list[tuple[UUID, str]]()
    if answer and values["says_something"]:
        seq, question = answer.seq - 1, turn_result.question
        if question is None:
            question = messages.text_at(connection, conversation_id, user_id=user_id, seq=seq)
        asked = SaidMessage(seq, [Utterance("user", question)], row.asked_at)
        turn_passages = split_into_passages([asked, answer])
        stored_passages = passages.replace_turn(
            connection, conversation_id, turn_passages, user_id=user_id, first_seq=seq, last_seq=answer.seq
        )
    return EndedTurn(answer, OutboxEntry.from_json(row.follow_up), stored_passages)


def _answer_message(row: Row[Any], turn_result: TurnResult, conversation_id: UUID) -> StoredMessage | None:
    if turn_result.message_id is None:
        return None
    return StoredMessage(
        id=turn_result.message_id,
        conversation_id=conversation_id,
        seq=row.seq,
        role="assistant",
        parts=turn_result.parts,
        model=turn_result.model,
        tokens=turn_result.output_tokens,
        status=turn_result.status,
        created_at=row.created_at,
        variant=row.variant,
        is_active=row.is_active,
    )


_RESULT_FIELDS = (
    *("status", "message_id", "model", "last_event", "error_code", "finish_reason"),
    *("input_tokens", "output_tokens", "cost_usd", "first_token_ms", "total_ms"),
)
# The answer's `seq` follows its question's. Counting `deactivated` forces the old variant to become inactive before the new
# answer is inserted; a unique index allows only one active variant. On one line, the statement is short enough for psycopg to keep it
# parsed (4,096 characters).
_FINISH_SQL = f"""
    WITH locked AS (
            SELECT id FROM conversations WHERE user_id = CAST(:user_id AS uuid) AND id = CAST(:conversation_id AS uuid) FOR NO KEY UPDATE
         ),
         ended AS (
            UPDATE turns t
               SET status = :status, ended_at = clock_timestamp(), message_id = CAST(:message_id AS uuid), error_code = :error_code,
                   finish_reason = :finish_reason, input_tokens = :input_tokens, output_tokens = :output_tokens, cost_usd = :cost_usd,
                   first_token_ms = :first_token_ms, total_ms = :total_ms,
                   held = NULL, waiting_since = NULL, last_event = greatest(t.last_event, :last_event)
              FROM locked
             WHERE t.user_id = CAST(:user_id AS uuid) AND t.id = CAST(:turn_id AS uuid) AND t.status = :was
               AND (NOT :only_if_stale OR t.heartbeat_at < clock_timestamp() - {STALE_AFTER})
            RETURNING t.conversation_id, t.user_message_id
         ),
         answer_position AS (
            UPDATE conversations c SET last_seq = greatest(c.last_seq, question.seq + 1), updated_at = clock_timestamp()
              FROM ended JOIN messages question ON question.user_id = CAST(:user_id AS uuid) AND question.id = ended.user_message_id
             WHERE c.user_id = CAST(:user_id AS uuid) AND c.id = ended.conversation_id AND CAST(:message_id AS uuid) IS NOT NULL
            RETURNING question.seq + 1 AS seq, question.created_at AS asked_at, c.is_title_automatic OR c.title IS NULL AS is_untitled
         ),
         others AS (
            SELECT m.id, m.variant FROM messages m JOIN answer_position ON m.seq = answer_position.seq
             WHERE m.user_id = CAST(:user_id AS uuid) AND m.conversation_id = CAST(:conversation_id AS uuid)
         ),
         deactivated AS (
            UPDATE messages m SET is_active = false FROM others
             WHERE m.user_id = CAST(:user_id AS uuid) AND m.id = others.id AND m.is_active AND :says_something
            RETURNING m.id
         ),
         answered AS (
            INSERT INTO messages (user_id, id, conversation_id, seq, variant, is_active, role, parts, model, tokens, status)
            SELECT CAST(:user_id AS uuid), CAST(:message_id AS uuid), CAST(:conversation_id AS uuid), answer_position.seq,
                   (SELECT coalesce(max(variant) + 1, 0) FROM others), :says_something OR NOT EXISTS (SELECT FROM others), 'assistant',
                   CAST(:parts AS jsonb), CAST(:model AS text), CAST(:output_tokens AS integer), CAST(:status AS text)
              FROM answer_position, (SELECT count(*) FROM deactivated) AS before_it
            RETURNING seq, created_at, variant, is_active
         ),
         {turn_events.log_cte("ended")},
         {outbox.FOLLOW_UP_CTES.strip()}
    SELECT EXISTS (SELECT FROM ended) AS is_ended, {outbox.ENTRIES_TO_SEND} AS follow_up, (SELECT asked_at FROM answer_position),
           answered.*
      FROM (SELECT) AS one LEFT JOIN answered ON true
    """  # noqa: S608 - constants only
_FINISH = text(" ".join(_FINISH_SQL.split()))
