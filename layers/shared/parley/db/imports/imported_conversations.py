"""Stores imported conversations so that a repeated import adds nothing and a newer export adds only what is new.

The ids of conversations and messages are derived from the ids of their source, so they are their own record of what was imported.
A deleted conversation can be imported again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid5

from sqlalchemy import Connection, text

from parley.db import passages
from parley.db.messages import MessageRole
from parley.db.projects.projects import MemoryScope
from parley.db.transactions import lock_until_end
from parley.db.turn.message_parts import utterances
from parley.memory.passages import Utterance, split_into_passages

type Outcome = Literal["added", "extended", "unchanged"]


class IdsTaken(Exception):
    """Two messages of the conversation have the same id, or another conversation of the user has messages with the same ids."""


@dataclass(frozen=True, slots=True)
class ImportedMessage:
    """A message to import. `id` is its id in the source's namespace; `parts` are stored parts (`parley.db.turn.message_parts`).

    Active messages are numbered from 1 without gaps. `tokens` estimates the size of a prompt that contains the message.
    """

    id: UUID
    role: MessageRole
    parts: Sequence[Mapping[str, Any]]
    created_at: datetime
    seq: int
    model: str | None = None
    tokens: int = 0
    status: str = "completed"
    variant: int = 0
    is_active: bool = True
    is_forgotten: bool = False

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part["text"] for part in self.parts if part["type"] == "text")

    @property
    def utterances(self) -> list[Utterance]:
        """The texts by speaker: an answer contains what the user said while it was written."""
        return utterances(self.role, self.parts)


@dataclass(frozen=True, slots=True)
class ImportedProject:
    """The project of an imported conversation."""

    id: UUID
    name: str
    instructions: str | None
    memory_scope: MemoryScope
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ImportedConversation:
    """A conversation to import, with its messages in the order of `seq` and `variant`. `mined_upto_seq`, if given, is the source's own.

    The assistant is stored only if the user may use it.
    """

    id: UUID
    title: str | None
    messages: Sequence[ImportedMessage]
    created_at: datetime
    updated_at: datetime
    model: str | None = None
    system_prompt: str | None = None
    is_title_automatic: bool = False
    is_incognito: bool = False
    is_pinned: bool = False
    is_archived: bool = False
    tags: Sequence[str] = ()
    project: ImportedProject | None = None
    mined_upto_seq: int | None = None
    assistant_id: UUID | None = None
    assistant_version: int | None = None

    @property
    def active(self) -> list[ImportedMessage]:
        """The messages of the conversation's current branch."""
        return [message for message in self.messages if message.is_active]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a conversation is stored: under `conversation_id`, whose messages up to number `stored` exist already.

    `is_new` tells whether the conversation must be stored, too.
    """

    conversation_id: UUID
    stored: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class StoredImport:
    """The result of storing a conversation: its id, what happened, and the number of new messages."""

    conversation_id: UUID
    outcome: Outcome
    messages: int


def lock_user(connection: Connection, *, user_id: UUID) -> None:
    """Wait until no other transaction stores imported conversations of the user, and keep others waiting until this one ends."""
    lock_until_end(connection, f"imported conversations of {user_id}")


def find_place(connection: Connection, conversation: ImportedConversation, *, user_id: UUID) -> Placement:
    """Return where the conversation, or the part of it that is new, belongs.

    - The stored messages begin with those of the file: nothing is new.
    - The messages of the file begin with the stored ones: the rest is appended.
    - They differ, because the conversation continued in two ways: the file's branch becomes a conversation of its own, whose id is
      derived from its first message that differs. A later import finds it there.
    """
    wanted, place = [message.id for message in conversation.active], conversation.id
    while (found := connection.execute(_STORED_IDS, {"user_id": user_id, "conversation_id": place}).scalar_one()) is not None:
        ids = [message_id_in(place, conversation, id) for id in wanted]
        shared = next(
            (number for number, pair in enumerate(zip(found, ids, strict=False)) if pair[0] != pair[1]), min(len(found), len(ids))
        )
        if shared == len(ids) or shared == len(found):
            return Placement(place, shared, is_new=False)
        place = uuid5(place, str(wanted[shared]))
    return Placement(place, 0, is_new=True)


def message_id_in(place: UUID, conversation: ImportedConversation, message_id: UUID) -> UUID:
    """Return a message's id in the conversation `place`: a branch of the imported conversation has copies of its messages."""
    return message_id if place == conversation.id else uuid5(place, str(message_id))


def store(connection: Connection, conversation: ImportedConversation, *, user_id: UUID, reads_facts: bool) -> StoredImport:
    """Store what is new of a conversation, with passages for search by words. The caller has called `lock_user`.

    Memory counts the conversation as read, unless `reads_facts` is set. Raises IdsTaken, and stores nothing then.
    """
    place = find_place(connection, conversation, user_id=user_id)
    added = [message for message in conversation.messages if message.seq > place.stored]
    if not added and not place.is_new:
        return StoredImport(place.conversation_id, "unchanged", 0)
    ids = [message_id_in(place.conversation_id, conversation, message.id) for message in added]
    if len(set(ids)) < len(ids) or connection.execute(_ARE_TAKEN, {"user_id": user_id, "ids": ids}).scalar_one():
        raise IdsTaken
    last_seq = max((message.seq for message in added), default=0)
    mined = 0 if reads_facts else last_seq
    values = {
        "user_id": user_id,
        "id": place.conversation_id,
        "last_seq": last_seq,
        "mined_upto_seq": mined if conversation.mined_upto_seq is None else min(conversation.mined_upto_seq, last_seq),
        "tags": list(conversation.tags),
        "project_id": conversation.project and conversation.project.id,
        **{name: getattr(conversation, name) for name in _CONVERSATION_FIELDS},
    }
    if conversation.project and place.is_new:
        connection.execute(_ADD_PROJECT, asdict(conversation.project) | {"user_id": user_id})
    connection.execute(_ADD_CONVERSATION if place.is_new else _EXTEND_CONVERSATION, values)
    if added:
        connection.execute(_ADD_MESSAGES, {"user_id": user_id, "conversation_id": place.conversation_id, "ids": ids} | _columns(added))
        said = [message for message in added if message.is_active and not message.is_forgotten]
        passages.add_imported(connection, place.conversation_id, split_into_passages(said), user_id=user_id)
    return StoredImport(place.conversation_id, "added" if place.is_new else "extended", sum(message.is_active for message in added))


def retention_days(connection: Connection, *, user_id: UUID) -> int | None:
    """Return after how many days without activity the user's conversations are deleted, 0 for never, None for the deployment's rule."""
    value: int | None = connection.execute(_RETENTION, {"user_id": user_id}).scalar_one()
    return value


def _columns(added: Sequence[ImportedMessage]) -> dict[str, Any]:
    """Return the messages as one array for each column, so that one statement stores any number of them."""
    columns = {name: [getattr(message, name) for message in added] for name in _MESSAGE_FIELDS}
    return columns | {"parts": [json.dumps(list(message.parts)) for message in added]}


_CONVERSATION_FIELDS = (
    *("title", "model", "system_prompt", "is_title_automatic", "created_at", "updated_at"),
    *("is_incognito", "is_pinned", "is_archived", "assistant_id", "assistant_version"),
)
_MESSAGE_FIELDS = ("seq", "variant", "is_active", "role", "model", "tokens", "status", "created_at", "is_forgotten")
_STORED_IDS = text(
    """
    SELECT CASE WHEN c.id IS NOT NULL
                THEN (SELECT coalesce(array_agg(m.id ORDER BY m.seq), '{}') FROM messages m
                       WHERE m.user_id = c.user_id AND m.conversation_id = c.id AND m.is_active)
           END
      FROM (SELECT) AS one LEFT JOIN conversations c ON c.user_id = :user_id AND c.id = :conversation_id
    """
)
_ARE_TAKEN = text("SELECT EXISTS (SELECT FROM messages WHERE user_id = :user_id AND id = ANY(:ids))")
_OF_ASSISTANT = "FROM parley_assistants(CAST(:assistant_id AS uuid)) a WHERE a.id = CAST(:assistant_id AS uuid)"
_ADD_CONVERSATION = text(
    f"""
    INSERT INTO conversations (user_id, id, title, model, system_prompt, last_seq, is_title_automatic, created_at, updated_at,
                               is_incognito, is_pinned, is_archived, tags, project_id, mined_upto_seq, assistant_id, assistant_version)
    VALUES (:user_id, :id, :title, :model, :system_prompt, :last_seq, :is_title_automatic, :created_at, :updated_at,
            :is_incognito, :is_pinned, :is_archived, CAST(:tags AS text[]), CAST(:project_id AS uuid), :mined_upto_seq,
            (SELECT a.id {_OF_ASSISTANT}), (SELECT CAST(:assistant_version AS integer) {_OF_ASSISTANT}))
    """  # noqa: S608 - constants only
)
# A project of the same id is the one of which the file was exported: it stays as it is now.
_ADD_PROJECT = text(
    """
    INSERT INTO projects (user_id, id, name, instructions, memory_scope, created_at)
    VALUES (:user_id, :id, :name, :instructions, :memory_scope, :created_at) ON CONFLICT DO NOTHING
    """
)
_EXTEND_CONVERSATION = text(
    """
    UPDATE conversations SET last_seq = :last_seq, updated_at = greatest(updated_at, CAST(:updated_at AS timestamptz)),
           mined_upto_seq = CASE WHEN mined_upto_seq >= last_seq THEN greatest(mined_upto_seq, :mined_upto_seq) ELSE mined_upto_seq END
     WHERE user_id = :user_id AND id = :id
    """
)
_ADD_MESSAGES = text(
    """
    INSERT INTO messages (user_id, id, conversation_id, seq, variant, is_active, role, parts, model, tokens, status, created_at,
                          is_forgotten)
    SELECT CAST(:user_id AS uuid), n.id, CAST(:conversation_id AS uuid), n.seq, n.variant, n.is_active, n.role, CAST(n.parts AS jsonb),
           n.model, n.tokens, n.status, n.created_at, n.is_forgotten
      FROM unnest(CAST(:ids AS uuid[]), CAST(:seq AS integer[]), CAST(:variant AS integer[]), CAST(:is_active AS boolean[]),
                  CAST(:role AS text[]), CAST(:parts AS text[]), CAST(:model AS text[]), CAST(:tokens AS integer[]),
                  CAST(:status AS text[]), CAST(:created_at AS timestamptz[]), CAST(:is_forgotten AS boolean[]))
           AS n(id, seq, variant, is_active, role, parts, model, tokens, status, created_at, is_forgotten)
    """
)
_RETENTION = text("SELECT retention_days FROM users WHERE id = :user_id")
