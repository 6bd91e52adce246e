"""Conversations of the Responses API: items in their order, with the id and the metadata that the client gave the whole."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, text, update

from parley.db.responses_api.responses import Item
from parley.db.tables import client_conversations, client_items
from parley.errors import InvalidInput, NotFound

# A user's conversations beyond this number are deleted, those unused for longest first.
MAX_CONVERSATIONS = 1000
# A conversation has at most as many items as a request may have.
MAX_ITEMS = 4096
_COLUMNS = [client_conversations.c.id, client_conversations.c.metadata, client_conversations.c.created_at]
_TRIM = text(
    """
    DELETE FROM client_conversations c
     USING (SELECT id FROM client_conversations WHERE user_id = :user_id ORDER BY used_at DESC, id DESC OFFSET :max_conversations) AS old
     WHERE c.user_id = :user_id AND c.id = old.id
    """
)
# An item that is there already is left out: a response is stored again if its first attempt may have failed.
_ADD = text(
    """
    INSERT INTO client_items (user_id, conversation_id, number, id, item)
    SELECT :user_id, :id, n.last + added.place, added.item ->> 'id', added.item
      FROM (SELECT coalesce(max(number), 0) AS last FROM client_items
             WHERE user_id = :user_id AND conversation_id = :id) AS n,
           jsonb_array_elements(CAST(:items AS jsonb)) WITH ORDINALITY AS added (item, place)
    ON CONFLICT (user_id, conversation_id, id) DO NOTHING
    """
)

_SWEEP = text(
    """
    DELETE FROM client_conversations c
     USING users u
     WHERE u.id = c.user_id AND coalesce(u.retention_days, 400) > 0
       AND c.used_at < now() - make_interval(days => coalesce(u.retention_days, 400))
    """
)


class ConversationFull(InvalidInput):
    """The conversation would have more items than a request may have."""

    def __init__(self) -> None:
        super().__init__(f"a conversation has at most {MAX_ITEMS} items; begin another one", loc=("body", "items"))


@dataclass(frozen=True, slots=True)
class ClientConversation:
    """A conversation without its items."""

    id: UUID
    metadata: Mapping[str, str]
    created_at: datetime


def create(connection: Connection, conversation_id: UUID, metadata: Mapping[str, str], *, user_id: UUID) -> ClientConversation:
    """Create an empty conversation, and delete the user's least recently used ones beyond `MAX_CONVERSATIONS`."""
    values = {"user_id": user_id, "id": conversation_id, "metadata": metadata}
    row = connection.execute(insert(client_conversations).values(values).returning(*_COLUMNS)).one()
    connection.execute(_TRIM, {"user_id": user_id, "max_conversations": MAX_CONVERSATIONS})
    return ClientConversation(**row._mapping)


def get(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> ClientConversation:
    """Return the conversation, or raise NotFound."""
    row = connection.execute(select(*_COLUMNS).where(*_is_conversation(conversation_id, user_id))).one_or_none()
    if row is None:
        raise NotFound("conversation", conversation_id)
    return ClientConversation(**row._mapping)


def change(connection: Connection, conversation_id: UUID, metadata: Mapping[str, str], *, user_id: UUID) -> ClientConversation:
    """Replace the metadata and return the conversation. Raises NotFound."""
    changed = update(client_conversations).where(*_is_conversation(conversation_id, user_id))
    row = connection.execute(changed.values(metadata=metadata, used_at=func.now()).returning(*_COLUMNS)).one_or_none()
    if row is None:
        raise NotFound("conversation", conversation_id)
    return ClientConversation(**row._mapping)


def remove(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> None:
    """Delete the conversation with its items, or raise NotFound."""
    if connection.execute(delete(client_conversations).where(*_is_conversation(conversation_id, user_id))).rowcount == 0:
        raise NotFound("conversation", conversation_id)


def items(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> list[Item]:
    """Return the items, oldest first. Raises NotFound if the conversation does not exist."""
    get(connection, conversation_id, user_id=user_id)
    of_it = (client_items.c.user_id == user_id, client_items.c.conversation_id == conversation_id)
    return list(connection.execute(select(client_items.c.item).where(*of_it).order_by(client_items.c.number)).scalars())


def add_items(connection: Connection, conversation_id: UUID, new: Sequence[Item], *, user_id: UUID, is_limited: bool = True) -> None:
    """Append items, each with an `id`, and note the use. Items that are there already stay where they are.

    Raises NotFound, and with `is_limited` ConversationFull if the conversation would have more than `MAX_ITEMS` items.
    """
    used = update(client_conversations).where(*_is_conversation(conversation_id, user_id)).values(used_at=func.now())
    if connection.execute(used).rowcount == 0:  # this also locks the row, so that no two requests take the same numbers
        raise NotFound("conversation", conversation_id)
    values = {"user_id": user_id, "id": conversation_id, "items": json.dumps(new)}
    connection.execute(_ADD, values)
    if is_limited and len(items(connection, conversation_id, user_id=user_id)) > MAX_ITEMS:
        raise ConversationFull


def remove_item(connection: Connection, conversation_id: UUID, item_id: str, *, user_id: UUID) -> None:
    """Delete an item. Raises NotFound."""
    of_it = (client_items.c.user_id == user_id, client_items.c.conversation_id == conversation_id, client_items.c.id == item_id)
    if connection.execute(delete(client_items).where(*of_it)).rowcount == 0:
        raise NotFound("item", item_id)


def sweep(connection: Connection) -> int:
    """Delete conversations unused for as long as their user keeps conversations, by default 400 days, and return their number.

    Requires the background role.
    """
    return connection.execute(_SWEEP).rowcount


def _is_conversation(conversation_id: UUID, user_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return client_conversations.c.user_id == user_id, client_conversations.c.id == conversation_id
