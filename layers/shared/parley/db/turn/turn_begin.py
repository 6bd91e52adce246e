"""The beginning of a turn: its preconditions, and the rows that are stored before the model is called.

Reading the preconditions locks nothing. Storing the turn detects a concurrent change, by a unique index or by the number of
the conversation's last message, and raises TurnConflict; the caller then reads the preconditions again.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Engine, Row, TextClause, Uuid, bindparam, text
from sqlalchemy.exc import IntegrityError

from parley.db.conversations import Conversation
from parley.db.transactions import user_scope
from parley.db.turn import turn_events
from parley.db.turn.stream_leases import TooManyStreams
from parley.db.turn.turn_events import LoggedEvent
from parley.db.turn.turns import RUNNING_TURNS, STALE_AFTER, TurnStatus
from parley.deadline import Deadline, retry_while_unavailable
from parley.errors import NotFound, ParleyError, Unavailable

_KEY_LIFETIME = "interval '24 hours'"
_CONFLICT_INDEXES = {"turns_idempotency", "turns_running", "conversations_pkey"}


class TurnConflict(ParleyError):
    """A concurrent request began a turn in this conversation or with this key. Retry in a new transaction."""


class CertainCommit:
    """Suppress Unavailable around the transaction that begins or resumes a turn if only the reply to its commit was lost.

    Once everything is stored, set `check`, which finds out in a later transaction whether this one was committed. If such a request were
    refused, no worker would run the turn, and the process that finds it stale would charge it for a call that was never made.
    """

    def __init__(self, engine: Engine, user_id: UUID, deadline: Deadline) -> None:
        self.check: Callable[[Connection], bool] | None = None
        self._engine, self._user_id, self._deadline = engine, user_id, deadline

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        is_uncertain = isinstance(error, Unavailable) and self.check is not None
        return is_uncertain and retry_while_unavailable(self._is_stored, self._deadline)

    def _is_stored(self) -> bool:
        with user_scope(self._engine, self._user_id) as connection:
            return self.check is not None and self.check(connection)


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A request's `Idempotency-Key`, its route, and the SHA-256 of its body."""

    route: str
    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class ExistingTurn:
    """A turn that is already stored. `is_stale` means that it is running but its heartbeat has stopped."""

    id: UUID
    status: TurnStatus
    is_stale: bool
    fingerprint: bytes | None = None


@dataclass(frozen=True, slots=True)
class TurnPreconditions:
    """The stored state that a new turn depends on.

    `conversation` is the request's conversation, and `open_turn` its running or waiting turn, if any; both are None for a new
    conversation. `same_key_turn` is the turn that already has the request's idempotency key; if `is_key_expired`, the key may
    be used again.
    """

    default_model: str | None
    conversation: Conversation | None
    open_turn: ExistingTurn | None
    same_key_turn: ExistingTurn | None
    is_key_expired: bool
    memory_enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTurn:
    """The data stored before the model is called.

    `last_seq` is the conversation's last message number as read with the preconditions, None for a new conversation. If
    `parts` is None, the question is already stored and its answer is being regenerated. The conversation keeps the assistant and
    its version.
    """

    turn_id: UUID
    user_id: UUID
    conversation_id: UUID
    last_seq: int | None
    title: str | None
    user_message_id: UUID
    parts: Sequence[Mapping[str, Any]] | None
    tokens: int
    model: str
    idempotency_key: IdempotencyKey | None
    entries: Sequence[LoggedEvent]
    is_incognito: bool = False
    assistant_id: UUID | None = None
    assistant_version: int | None = None


def read_preconditions(
    connection: Connection,
    *,
    user_id: UUID,
    conversation_id: UUID | None,
    idempotency_key: IdempotencyKey | None,
    documents: Sequence[UUID] = (),
    must_exist: bool = True,
) -> TurnPreconditions:
    """Read the state that a new turn depends on, in one statement.

    Raises NotFound if the named conversation does not exist although it `must_exist`, or if the user may not read one of the
    documents. For a repeated request, whose turn already exists, these checks are skipped.
    """
    key = {"route": idempotency_key.route, "key": idempotency_key.key} if idempotency_key else {"route": None, "key": None}
    values = {"user_id": user_id, "conversation_id": conversation_id, "documents": list(documents) or None}
    row = connection.execute(_PRECONDITIONS, values | key).one()
    if row.key_turn_id is None or row.is_key_expired:
        if row.id is None and conversation_id is not None and must_exist:
            raise NotFound("conversation", conversation_id)
        if row.missing:
            raise NotFound("document", row.missing[0])
    return TurnPreconditions(
        default_model=row.default_model,
        conversation=_conversation(row, user_id) if row.id else None,
        open_turn=_existing_turn(row, "open") if row.open_id else None,
        same_key_turn=_existing_turn(row, "key_turn") if row.key_turn_id else None,
        is_key_expired=bool(row.is_key_expired),
        memory_enabled=row.memory_enabled,
    )


def _conversation(row: Row[Any], user_id: UUID) -> Conversation:
    columns = {field.name: getattr(row, field.name) for field in fields(Conversation) if field.name != "user_id"}
    return Conversation(user_id=user_id, **columns)


def _existing_turn(row: Row[Any], prefix: str) -> ExistingTurn:
    return ExistingTurn(**{field.name: getattr(row, f"{prefix}_{field.name}") for field in fields(ExistingTurn)})


def release_key(connection: Connection, idempotency_key: IdempotencyKey, *, user_id: UUID) -> None:
    """Detach an idempotency key older than 24 hours from its turn, so that the key can be used again."""
    connection.execute(_RELEASE_KEY, {"user_id": user_id, "route": idempotency_key.route, "key": idempotency_key.key})


def release_expired_keys(connection: Connection) -> int:
    """Detach all idempotency keys older than 24 hours and return their number. Requires the background role."""
    return connection.execute(_RELEASE_EXPIRED_KEYS).rowcount


def store_turn(connection: Connection, new_turn: NewTurn, *, max_running: int) -> None:
    """Store the conversation if it is new, the question, the running turn and its first event.

    Raises TurnConflict if the preconditions no longer hold, and TooManyStreams if the user has `max_running` running turns. The
    count is exact only if the transaction holds a lock on the user, such as `limits.admit` takes.
    """
    idempotency_key = new_turn.idempotency_key
    values = {name: getattr(new_turn, name) for name in _NEW_TURN_FIELDS} | {
        "route": idempotency_key.route if idempotency_key else None,
        "key": idempotency_key.key if idempotency_key else None,
        "fingerprint": idempotency_key.fingerprint if idempotency_key else None,
        "parts": json.dumps(list(new_turn.parts or ())),
        "entries": turn_events.events_json(new_turn.entries),
        "last_event": new_turn.entries[-1].number,
        "max_running": max_running,
    }
    try:
        row = connection.execute(_statement_for(new_turn), values).one_or_none()
    except IntegrityError as exc:
        if getattr(getattr(exc.orig, "diag", None), "constraint_name", None) in _CONFLICT_INDEXES:
            raise TurnConflict(str(new_turn.conversation_id)) from exc
        raise
    if row is None:
        raise TurnConflict(str(new_turn.conversation_id))
    if not row.is_begun:
        raise TooManyStreams("answer", limit=max_running)


def _statement_for(new_turn: NewTurn) -> TextClause:
    if new_turn.last_seq is None:
        return _STORE_IN_NEW_CONVERSATION
    return _STORE_REGENERATION if new_turn.parts is None else _STORE


_NEW_IDS = ("turn_id", "user_id", "conversation_id", "user_message_id", "assistant_id")
_NEW_TURN_FIELDS = (*_NEW_IDS, "last_seq", "title", "tokens", "model", "is_incognito", "assistant_version")
_PRECONDITIONS = text(
    f"""
    SELECT u.default_model, u.memory_enabled,
           c.id, c.title, c.model, c.system_prompt, c.last_seq, c.created_at, c.updated_at, c.is_incognito, c.is_pinned,
           c.assistant_id, c.assistant_version, c.tags, c.is_archived, c.project_id,
           o.id AS open_id, o.status AS open_status, o.fingerprint AS open_fingerprint,
           o.status = 'running' AND o.heartbeat_at < clock_timestamp() - {STALE_AFTER} AS open_is_stale,
           k.id AS key_turn_id, k.status AS key_turn_status, k.fingerprint AS key_turn_fingerprint,
           k.status = 'running' AND k.heartbeat_at < clock_timestamp() - {STALE_AFTER} AS key_turn_is_stale,
           k.started_at < now() - {_KEY_LIFETIME} AS is_key_expired,
           (SELECT array_agg(a.id) FROM unnest(CAST(:documents AS uuid[])) AS a (id)
             WHERE NOT EXISTS (SELECT FROM documents d WHERE d.user_id = u.id AND d.id = a.id)
               AND NOT EXISTS (SELECT FROM documents d WHERE d.is_shared AND d.id = a.id)
               AND NOT EXISTS (SELECT FROM parley_group_documents() g WHERE g.document_id = a.id)) AS missing
      FROM users u
      LEFT JOIN conversations c ON c.user_id = u.id AND c.id = CAST(:conversation_id AS uuid)
      LEFT JOIN turns o ON o.user_id = u.id AND o.conversation_id = c.id AND o.status IN ('running', 'waiting')
      LEFT JOIN turns k ON k.user_id = u.id AND k.route = CAST(:route AS text) AND k.idempotency_key = CAST(:key AS text)
     WHERE u.id = CAST(:user_id AS uuid)
    """  # noqa: S608 - constants only
).bindparams(bindparam("documents", type_=ARRAY(Uuid)))
_RELEASE_KEY = text(
    f"""
    UPDATE turns SET idempotency_key = NULL, fingerprint = NULL
     WHERE user_id = :user_id AND route = :route AND idempotency_key = :key AND started_at < now() - {_KEY_LIFETIME}
    """  # noqa: S608 - constants only
)
_RELEASE_EXPIRED_KEYS = text(
    f"""
    UPDATE turns SET idempotency_key = NULL, fingerprint = NULL
     WHERE idempotency_key IS NOT NULL AND started_at < now() - {_KEY_LIFETIME}
    """  # noqa: S608 - constants only
)


_QUESTION_CTE = """
         question AS (
            INSERT INTO messages (user_id, id, conversation_id, seq, role, parts, tokens)
            SELECT CAST(:user_id AS uuid), CAST(:user_message_id AS uuid), CAST(:conversation_id AS uuid), conversation.last_seq, 'user',
                   CAST(:parts AS jsonb), CAST(:tokens AS integer)
              FROM conversation
         ),
"""


def _store_statement(upsert: str, *, question: str = _QUESTION_CTE) -> str:
    """Return the statement that stores a turn if `upsert`, the INSERT or UPDATE of its conversation, affects a row."""
    return f"""
    WITH conversation AS ({upsert} RETURNING last_seq),
         {question}
         begun AS (
            INSERT INTO turns (user_id, id, conversation_id, user_message_id, model, route, idempotency_key, fingerprint, last_event)
            SELECT CAST(:user_id AS uuid), CAST(:turn_id AS uuid), CAST(:conversation_id AS uuid), CAST(:user_message_id AS uuid),
                   CAST(:model AS text), CAST(:route AS text), CAST(:key AS text), CAST(:fingerprint AS bytea), CAST(:last_event AS integer)
              FROM conversation
             WHERE {RUNNING_TURNS} < CAST(:max_running AS integer)
            RETURNING id
         ),
         {turn_events.log_cte("begun")}
    SELECT EXISTS (SELECT FROM begun) AS is_begun FROM conversation
    """  # noqa: S608 - constants only


_STORE_IN_NEW_CONVERSATION = text(
    _store_statement(
        """
        INSERT INTO conversations (user_id, id, title, is_title_automatic, last_seq, is_incognito, assistant_id, assistant_version)
        VALUES (CAST(:user_id AS uuid), CAST(:conversation_id AS uuid), CAST(:title AS text), true, 1, CAST(:is_incognito AS boolean),
                CAST(:assistant_id AS uuid), CAST(:assistant_version AS integer))
        """
    )
)
# If `last_seq` differs, the history has changed since it was read, and nothing is stored.
_STORE = text(
    _store_statement(
        """
        UPDATE conversations SET last_seq = last_seq + 1, updated_at = clock_timestamp(),
               assistant_id = CAST(:assistant_id AS uuid), assistant_version = CAST(:assistant_version AS integer)
         WHERE user_id = CAST(:user_id AS uuid) AND id = CAST(:conversation_id AS uuid) AND last_seq = CAST(:last_seq AS integer)
        """
    )
)
# Memory extraction is set back to before the last question, so that the new answer is extracted as well.
_STORE_REGENERATION = text(
    _store_statement(
        """
        UPDATE conversations SET updated_at = clock_timestamp(), mined_upto_seq = least(mined_upto_seq, greatest(last_seq - 2, 0)),
               assistant_id = CAST(:assistant_id AS uuid), assistant_version = CAST(:assistant_version AS integer)
         WHERE user_id = CAST(:user_id AS uuid) AND id = CAST(:conversation_id AS uuid) AND last_seq = CAST(:last_seq AS integer)
        """,
        question="",
    )
)
