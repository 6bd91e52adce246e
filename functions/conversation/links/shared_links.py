"""Share a snapshot of a conversation by a link, and continue a shared conversation as a copy."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from parley.auth.client_origin import ClientOrigin
from parley.clock import utc_now
from parley.db import conversations, messages
from parley.db.accounts import audit
from parley.db.conversations import Conversation
from parley.db.engine import Connection
from parley.db.links import shared_links as links
from parley.db.links.shared_links import Audience, SharedLink, Snapshot
from parley.db.messages import StoredMessage
from parley.db.transactions import lock_until_end
from parley.db.turn.message_parts import is_source
from parley.errors import ParleyError
from parley.ids import new_id
from parley.llm.citations import cited_numbers
from parley.llm.tokens import estimate_tokens
from parley.memory.passages import Utterance

MAX_LINKS = 200
MAX_MESSAGES = 1000
MAX_SNAPSHOT_BYTES = 1024 * 1024
_TOKEN_BYTES = 32
_SOURCE_FIELDS = ("number", "title", "page", "url")


class TooManyLinks(ParleyError):
    """The user has as many links as are allowed."""

    status, code = 409, "too_many_links"
    public_message = f"You have {MAX_LINKS} shared links. Revoke one before you make another."


class TooLongToShare(ParleyError):
    """The conversation does not fit into a snapshot."""

    status, code = 422, "too_long_to_share"
    public_message = f"A link can share up to {MAX_MESSAGES:,} messages and 1 MiB of text. Share up to an earlier message."


class NothingToShare(ParleyError):
    """The conversation has no messages, or none up to the given number."""

    status, code = 422, "nothing_to_share"
    public_message = "There are no messages to share yet."


@dataclass(frozen=True, slots=True)
class NewLink:
    """A stored link and its token, which only the response to its creation contains."""

    link: SharedLink
    token: str


def share(
    connection: Connection,
    conversation_id: UUID,
    *,
    user_id: UUID,
    audience: Audience,
    group_id: UUID | None,
    expires_in_days: int,
    upto_seq: int | None,
    origin: ClientOrigin,
) -> NewLink:
    """Store a snapshot of the conversation's active messages, up to number `upto_seq` if given, and return its link.

    The snapshot has the texts and the titles of cited sources. Images, tool calls and their results are left out. Raises NotFound, also
    for a group of which the user is not a member, TooManyLinks, TooLongToShare and NothingToShare.
    """
    conversation = conversations.get(connection, conversation_id, user_id=user_id)
    lock_until_end(connection, f"links of {user_id}")
    if links.count(connection, user_id=user_id) >= MAX_LINKS:
        raise TooManyLinks(f"user {user_id} has {MAX_LINKS} links")
    stored = messages.page(connection, conversation_id, user_id=user_id, limit=MAX_MESSAGES + 1, order="asc", after=None)
    shown = _snapshot([message for message in stored if upto_seq is None or message.seq <= upto_seq])
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    link = links.add(
        connection,
        new_id(),
        user_id=user_id,
        token=token,
        messages=shown,
        conversation_id=conversation_id,
        audience=audience,
        group_id=group_id,
        title=conversation.title,
        expires_at=utc_now() + timedelta(days=expires_in_days),
    )
    detail = {"link_id": str(link.id), "audience": audience} | ({"group_id": str(group_id)} if group_id else {})
    audit.record_own(connection, user_id, "link_shared", origin, **detail)
    return NewLink(link, token)


def copy(connection: Connection, snapshot: Snapshot, *, user_id: UUID) -> Conversation:
    """Store a shared conversation as a conversation of this user, and return it.

    Its texts are another person's: they never become the user's facts, and the answers count as untrusted, so that tools
    that write or send data out need approval.
    """
    conversation = conversations.add(connection, new_id(), user_id=user_id, title=snapshot.title)
    for message in snapshot.messages:
        parts: list[Mapping[str, Any]] = [{"type": "text", "text": message["text"]}]
        if message["role"] == "assistant":
            parts.insert(0, {"type": "memory"})
        messages.add(
            connection,
            new_id(),
            user_id=user_id,
            conversation_id=conversation.id,
            role=message["role"],
            parts=parts,
            tokens=estimate_tokens(message["text"]),
        )
    conversations.mark_extracted(connection, conversation.id, user_id=user_id, seq=len(snapshot.messages))
    return conversations.get(connection, conversation.id, user_id=user_id)


def _snapshot(stored: Sequence[StoredMessage]) -> list[dict[str, Any]]:
    if len(stored) > MAX_MESSAGES:
        raise TooLongToShare(f"over {MAX_MESSAGES} messages")
    shown = [
        _shown_message(message, utterance)
        for message in stored
        if message.role != "tool"
        for utterance in message.utterances
        if utterance.text.strip()
    ]
    if not shown:
        raise NothingToShare("no message with text")
    if len(json.dumps(shown, ensure_ascii=False).encode()) > MAX_SNAPSHOT_BYTES:
        raise TooLongToShare(f"over {MAX_SNAPSHOT_BYTES} bytes")
    return shown


def _shown_message(message: StoredMessage, utterance: Utterance) -> dict[str, Any]:
    cited = cited_numbers(utterance.text)
    # An earlier release imported sources of other shapes.
    sources = [{name: part.get(name) for name in _SOURCE_FIELDS} for part in message.parts if is_source(part) and part["number"] in cited]
    return {"role": utterance.role, "text": utterance.text, "sources": sources, "created_at": message.created_at.isoformat()}
