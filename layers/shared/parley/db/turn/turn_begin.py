"""The beginning of a turn: its preconditions, and what is stored before the model is called.

Reading the preconditions locks nothing. A concurrent change shows when the turn is stored, by a unique index or by the number of
the conversation's last message; the caller then reads the preconditions again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, TextClause, Uuid, bindparam, text
from sqlalchemy.exc import IntegrityError

from parley.db.conversations import Conversation
from parley.db.turn import turn_events
from parley.db.turn.turn_events import LoggedEvent
from parley.db.turn.turns import STALE_AFTER, TurnStatus
from parley.errors import NotFound, ParleyError

_KEPT_FOR = "interval '24 hours'"
_CONFLICT_INDEXES = {"turns_idempotency", "turns_running"}


class TurnConflict(ParleyError):
    """Another turn of the conversation, or of the same key, came in between. Look again in a new transaction."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A request's `Idempotency-Key`, the route that it is for, and the SHA-256 of what was asked."""

    route: str
    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class ExistingTurn:
    """A turn that was there before. `is_silent` says that it runs, and its heart has stopped."""

    id: UUID
    status: TurnStatus
    is_stale: bool
    fingerprint: bytes | None = None


@dataclass(frozen=True, slots=True)
class TurnPreconditions:
    """What a new turn finds: the user's wishes, the conversation, its open turn, and the turn of the same key."""

    default_model: str | None
    conversation: Conversation | None
    open: ExistingTurn | None
    earlier: ExistingTurn | None
    is_key_old: bool
    memory_enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTurn:
    """What is stored before the model is asked.

    `last_seq` is what the conversation had when it was read, None for a new one. Without `parts` the question is there
    already, and is answered anew.
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


def read_preconditions(
    connection: Connection,
    *,
    user_id: UUID,
    conversation_id: UUID | None,
    idempotency_key: IdempotencyKey | None,
    documents: Sequence[UUID] = (),
) -> TurnPreconditions:
    """Look at what is there before a turn begins.

    Raises NotFound if the conversation is named and not there, or one of the documents is none that the user may read.
    """
    key = {"route": idempotency_key.route, "key": idempotency_key.key} if idempotency_key else {"route": None, "key": None}
    values = {"user_id": user_id, "conversation_id": conversation_id, "documents": list(documents) or None}
    row = connection.execute(_PRECONDITIONS, values | key).one()
    conversation = None
    if row.id is not None:
        known = (row.id, row.title, row.model, row.system_prompt, row.last_seq, row.created_at, row.updated_at, row.is_incognito)
        conversation = Conversation(user_id, *known)
    in_the_way = ExistingTurn(row.open_id, row.open_status, row.open_is_silent) if row.open_id else None
    earlier = ExistingTurn(row.earlier_id, row.earlier_status, row.earlier_is_silent, row.earlier_fingerprint) if row.earlier_id else None
    is_new = earlier is None or row.is_key_old
    if conversation is None and conversation_id is not None and is_new:
        raise NotFound("conversation", conversation_id)
    if row.missing and is_new:
        raise NotFound("document", row.missing[0])
    return TurnPreconditions(row.default_model, conversation, in_the_way, earlier, bool(row.is_key_old), row.memory_enabled)


def release_key(connection: Connection, idempotency_key: IdempotencyKey, *, user_id: UUID) -> None:
    """Let a key that is older than a day be used anew."""
    connection.execute(_RELEASE_KEY, {"user_id": user_id, "route": idempotency_key.route, "key": idempotency_key.key})


def release_expired_keys(connection: Connection) -> int:
    """Forget every key that is older than a day; return how many. Needs the background role."""
    return connection.execute(_RELEASE_EXPIRED_KEYS).rowcount


def store_turn(connection: Connection, new_turn: NewTurn) -> None:
    """Store the conversation if it is new, the question, the running turn and its first event, or raise Outrun."""
    idempotency_key = new_turn.idempotency_key
    values = {name: getattr(new_turn, name) for name in _NEW_TURN_FIELDS} | {
        "route": idempotency_key.route if idempotency_key else None,
        "key": idempotency_key.key if idempotency_key else None,
        "fingerprint": idempotency_key.fingerprint if idempotency_key else None,
        "parts": json.dumps(list(new_turn.parts or ())),
        "entries": turn_events.events_json(new_turn.entries),
        "last_event": new_turn.entries[-1].number,
    }
    try:
        row = connection.execute(_statement_for(new_turn), values).one_or_none()
    except IntegrityError as exc:
        if getattr(getattr(exc.orig, "diag", None), "constraint_name", None) in _CONFLICT_INDEXES:
            raise TurnConflict(str(new_turn.conversation_id)) from exc
        raise
    if row is None:
        raise TurnConflict(str(new_turn.conversation_id))


def _statement_for(new_turn: NewTurn) -> TextClause:
    if new_turn.last_seq is None:
        return _STORE_IN_NEW_CONVERSATION
    return _STORE_REGENERATION if new_turn.parts is None else _STORE


_NEW_TURN_FIELDS = ("turn_id", "user_id", "conversation_id", "last_seq", "title", "user_message_id", "tokens", "model", "is_incognito")
_PRECONDITIONS = text(
    f"""
    SELECT u.default_model, u.memory_enabled,
           c.id, c.title, c.model, c.system_prompt, c.last_seq, c.created_at, c.updated_at, c.is_incognito,
           o.id AS open_id, o.status AS open_status,
           o.status = 'running' AND o.heartbeat_at < clock_timestamp() - {STALE_AFTER} AS open_is_silent,
           k.id AS earlier_id, k.status AS earlier_status, k.fingerprint AS earlier_fingerprint,
           k.status = 'running' AND k.heartbeat_at < clock_timestamp() - {STALE_AFTER} AS earlier_is_silent,
           k.started_at < now() - {_KEPT_FOR} AS is_key_old,
           (SELECT array_agg(a.id) FROM unnest(CAST(:documents AS uuid[])) AS a (id)
             WHERE NOT EXISTS (SELECT FROM documents d WHERE d.user_id = u.id AND d.id = a.id)
               AND NOT EXISTS (SELECT FROM documents d WHERE d.is_shared AND d.id = a.id)) AS missing
      FROM users u
      LEFT JOIN conversations c ON c.user_id = u.id AND c.id = CAST(:conversation_id AS uuid)
      LEFT JOIN turns o ON o.user_id = u.id AND o.conversation_id = c.id AND o.status IN ('running', 'waiting')
      LEFT JOIN turns k ON k.user_id = u.id AND k.route = CAST(:route AS text) AND k.idempotency_key = CAST(:key AS text)
     WHERE u.id = CAST(:user_id AS uuid)
    """  # noqa: S608 - our own words
).bindparams(bindparam("documents", type_=ARRAY(Uuid)))
_RELEASE_KEY = text(
    f"""
    UPDATE turns SET idempotency_key = NULL, fingerprint = NULL
     WHERE user_id = :user_id AND route = :route AND idempotency_key = :key AND started_at < now() - {_KEPT_FOR}
    """  # noqa: S608 - our own words
)
_RELEASE_EXPIRED_KEYS = text(
    f"UPDATE turns SET idempotency_key = NULL, fingerprint = NULL WHERE idempotency_key IS NOT NULL AND started_at < now() - {_KEPT_FOR}"  # noqa: S608
)


_QUESTION_CTE = """
         asked AS (
            INSERT INTO messages (user_id, id, conversation_id, seq, role, parts, tokens)
            SELECT CAST(:user_id AS uuid), CAST(:user_message_id AS uuid), CAST(:conversation_id AS uuid), place.last_seq, 'user',
                   CAST(:parts AS jsonb), CAST(:tokens AS integer)
              FROM place
         ),
"""


def _store_statement(place: str, *, asked: str = _QUESTION_CTE) -> str:
    """Write the statement that stores a beginning if `place`, which makes or takes the conversation, has a row."""
    return f"""
    WITH place AS ({place} RETURNING last_seq),
         {asked}
         begun AS (
            INSERT INTO turns (user_id, id, conversation_id, user_message_id, model, route, idempotency_key, fingerprint, last_event)
            SELECT CAST(:user_id AS uuid), CAST(:turn_id AS uuid), CAST(:conversation_id AS uuid), CAST(:user_message_id AS uuid),
                   CAST(:model AS text), CAST(:route AS text), CAST(:key AS text), CAST(:fingerprint AS bytea), CAST(:last_event AS integer)
              FROM place
         ),
         {turn_events.log_cte("place")}
    SELECT last_seq FROM place
    """  # noqa: S608 - our own words


_STORE_IN_NEW_CONVERSATION = text(
    _store_statement(
        """
        INSERT INTO conversations (user_id, id, title, is_title_automatic, last_seq, is_incognito)
        VALUES (CAST(:user_id AS uuid), CAST(:conversation_id AS uuid), CAST(:title AS text), true, 1, CAST(:is_incognito AS boolean))
        """
    )
)
# Where the number is another than the one that was read, so is the context: nothing is stored then.
_STORE = text(
    _store_statement(
        """
        UPDATE conversations SET last_seq = last_seq + 1, updated_at = clock_timestamp()
         WHERE user_id = CAST(:user_id AS uuid) AND id = CAST(:conversation_id AS uuid) AND last_seq = CAST(:last_seq AS integer)
        """
    )
)
# The last question and its answer are mined again, with what takes the answer's place.
_STORE_REGENERATION = text(
    _store_statement(
        """
        UPDATE conversations SET updated_at = clock_timestamp(), mined_upto_seq = least(mined_upto_seq, greatest(last_seq - 2, 0))
         WHERE user_id = CAST(:user_id AS uuid) AND id = CAST(:conversation_id AS uuid) AND last_seq = CAST(:last_seq AS integer)
        """,
        asked="",
    )
)
