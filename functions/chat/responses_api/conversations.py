"""Conversations of clients: the items that responses with `conversation` begin with, and are appended to.

The page does not show them: the client's tools belong to them, and memory does not learn from them.
"""

from typing import Any
from uuid import UUID

from functions.chat.responses_api.input_items import InputItem, ItemReferenceIn
from functions.chat.responses_api.response_schemas import ClientConversationOut, DeletedConversationOut, ItemListOut
from functions.chat.responses_api.schemas import ConversationItemsIn, ConversationMetadataIn, ItemPageIn, NewConversationIn
from functions.chat.responses_api.stored_responses import CONVERSATION_PREFIX, page_of, parse_conversation_id, shown_items
from functions.chat.services import ChatServices
from parley.auth.principal import Principal
from parley.db.responses_api import client_conversations
from parley.db.responses_api.client_conversations import ClientConversation
from parley.db.responses_api.responses import Item
from parley.db.transactions import principal_scope
from parley.errors import InvalidInput, NotFound
from parley.ids import new_id


def create(services: ChatServices, principal: Principal, body: NewConversationIn) -> ClientConversationOut:
    """Create a conversation with its first items. Raises InvalidInput."""
    id, user_id = new_id(), principal.user_id
    items = _shown(body.items or [], batch=id)
    with principal_scope(services.engine, principal) as connection:
        conversation = client_conversations.create(connection, id, body.metadata or {}, user_id=user_id)
        client_conversations.add_items(connection, id, items, user_id=user_id)
    return _out(conversation)


def read(services: ChatServices, principal: Principal, id: str) -> ClientConversationOut:
    """Return a conversation. Raises NotFound."""
    with principal_scope(services.engine, principal) as connection:
        return _out(client_conversations.get(connection, parse_conversation_id(id), user_id=principal.user_id))


def change(services: ChatServices, principal: Principal, id: str, body: ConversationMetadataIn) -> ClientConversationOut:
    """Replace the metadata of a conversation. Raises NotFound."""
    with principal_scope(services.engine, principal) as connection:
        conversation_id = parse_conversation_id(id)
        return _out(client_conversations.change(connection, conversation_id, body.metadata or {}, user_id=principal.user_id))


def remove(services: ChatServices, principal: Principal, id: str) -> DeletedConversationOut:
    """Delete a conversation with its items. Raises NotFound."""
    with principal_scope(services.engine, principal) as connection:
        client_conversations.remove(connection, parse_conversation_id(id), user_id=principal.user_id)
    return DeletedConversationOut(id=id)


def add_items(services: ChatServices, principal: Principal, id: str, body: ConversationItemsIn) -> ItemListOut:
    """Append items to a conversation and return them, oldest first. Raises NotFound and InvalidInput."""
    items = _shown(body.items, batch=new_id())
    with principal_scope(services.engine, principal) as connection:
        client_conversations.add_items(connection, parse_conversation_id(id), items, user_id=principal.user_id)
    return page_of(items, ItemPageIn(order="asc", limit=len(items)))


def list_items(services: ChatServices, principal: Principal, id: str, page: ItemPageIn) -> ItemListOut:
    """Return a page of a conversation's items. Raises NotFound, and InvalidInput for an unknown `after`."""
    return page_of(_items(services, principal, id), page)


def read_item(services: ChatServices, principal: Principal, id: str, item_id: str) -> dict[str, Any]:
    """Return an item of a conversation. Raises NotFound."""
    for item in _items(services, principal, id):
        if item["id"] == item_id:
            return item
    raise NotFound("item", item_id)


def remove_item(services: ChatServices, principal: Principal, id: str, item_id: str) -> ClientConversationOut:
    """Delete an item of a conversation, and return the conversation. Raises NotFound."""
    with principal_scope(services.engine, principal) as connection:
        conversation_id = parse_conversation_id(id)
        conversation = client_conversations.get(connection, conversation_id, user_id=principal.user_id)
        client_conversations.remove_item(connection, conversation_id, item_id, user_id=principal.user_id)
    return _out(conversation)


def _items(services: ChatServices, principal: Principal, id: str) -> list[Item]:
    with principal_scope(services.engine, principal) as connection:
        return client_conversations.items(connection, parse_conversation_id(id), user_id=principal.user_id)


def _shown(items: list[InputItem], *, batch: UUID) -> list[Item]:
    """Return new items as they are stored, each with an id that no other batch has.

    Raises InvalidInput for a reference, which is not an item itself.
    """
    for index, item in enumerate(items):
        if isinstance(item, ItemReferenceIn):
            raise InvalidInput("a conversation has items, not references to them", loc=("body", "items", index, "type"))
    return shown_items(items, id_prefix=f"item_{batch.hex}")


def _out(conversation: ClientConversation) -> ClientConversationOut:
    id, created_at = f"{CONVERSATION_PREFIX}{conversation.id.hex}", int(conversation.created_at.timestamp())
    return ClientConversationOut(id=id, created_at=created_at, metadata=dict(conversation.metadata))
