"""The routes of OpenAI's Conversations API."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from functions.chat.responses_api import conversations
from functions.chat.responses_api.response_schemas import ClientConversationOut, DeletedConversationOut, ItemListOut
from functions.chat.responses_api.schemas import ConversationItemsIn, ConversationMetadataIn, ItemPageIn, NewConversationIn
from functions.chat.services import ChatServicesDep
from parley.errors import NotFound
from parley.http.dependencies import CurrentPrincipal, requires
from parley.http.lazy_routes import LazyRoute
from parley.http.problems import error_responses

router = APIRouter(prefix="/v1/conversations", route_class=LazyRoute, dependencies=[Depends(requires("chat"))])


@router.post("")
async def create_client_conversation(
    body: NewConversationIn, services: ChatServicesDep, principal: CurrentPrincipal
) -> ClientConversationOut:
    """Create a conversation for `POST /v1/responses`, with its first items.

    It is not a conversation of the page, and memory does not learn from it: the client's own tools and instructions belong to it. It is
    kept until it is deleted, is unused for as long as the user keeps conversations (400 days, if not set), or the user has 1,000
    newer ones.
    """
    return conversations.create(services, principal, body)


@router.get("/{id}", responses=error_responses(NotFound))
async def get_client_conversation(id: str, services: ChatServicesDep, principal: CurrentPrincipal) -> ClientConversationOut:
    """Return a conversation without its items."""
    return conversations.read(services, principal, id)


@router.post("/{id}", responses=error_responses(NotFound))
async def change_client_conversation(
    id: str, body: ConversationMetadataIn, services: ChatServicesDep, principal: CurrentPrincipal
) -> ClientConversationOut:
    """Replace the metadata of a conversation."""
    return conversations.change(services, principal, id, body)


@router.delete("/{id}", responses=error_responses(NotFound))
async def delete_client_conversation(id: str, services: ChatServicesDep, principal: CurrentPrincipal) -> DeletedConversationOut:
    """Delete a conversation with its items. Stored responses that belonged to it stay."""
    return conversations.remove(services, principal, id)


@router.post("/{id}/items", responses=error_responses(NotFound))
async def add_client_items(id: str, body: ConversationItemsIn, services: ChatServicesDep, principal: CurrentPrincipal) -> ItemListOut:
    """Append up to 20 items to a conversation, and return them. A conversation has at most 4,096 items."""
    return conversations.add_items(services, principal, id, body)


@router.get("/{id}/items", responses=error_responses(NotFound))
async def list_client_items(
    id: str, services: ChatServicesDep, principal: CurrentPrincipal, page: Annotated[ItemPageIn, Query()]
) -> ItemListOut:
    """List the items of a conversation, by default the newest first."""
    return conversations.list_items(services, principal, id, page)


@router.get("/{id}/items/{item_id}", responses=error_responses(NotFound))
async def get_client_item(id: str, item_id: str, services: ChatServicesDep, principal: CurrentPrincipal) -> dict[str, Any]:
    """Return an item of a conversation."""
    return conversations.read_item(services, principal, id, item_id)


@router.delete("/{id}/items/{item_id}", responses=error_responses(NotFound))
async def delete_client_item(id: str, item_id: str, services: ChatServicesDep, principal: CurrentPrincipal) -> ClientConversationOut:
    """Delete an item of a conversation, and return the conversation."""
    return conversations.remove_item(services, principal, id, item_id)
