"""Stored responses: kept for 30 days, so that a request can continue one, and the client can read or delete it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from functions.chat.responses_api.input_items import InputItem, ItemReferenceIn
from functions.chat.responses_api.requests import ConversationItems
from functions.chat.responses_api.response_schemas import DeletedResponseOut, ItemListOut, ResponseOut
from functions.chat.responses_api.schemas import ItemPageIn, ResponseIn, ResponseInputIn
from functions.chat.services import ChatServices
from parley.auth.principal import Principal
from parley.db.engine import Connection
from parley.db.responses_api import client_conversations, responses
from parley.db.responses_api.responses import Item, StoredResponse
from parley.db.transactions import principal_scope, user_scope
from parley.deadline import Deadline, retry_while_unavailable
from parley.errors import InvalidInput, NotFound, Unavailable
from parley.ids import new_id
from parley.observability import logger

_PREFIX = "resp_"
CONVERSATION_PREFIX = "conv_"
_ANSWERED = ("completed", "incomplete")
_HEX_DIGITS = 32
_ITEMS: TypeAdapter[list[InputItem]] = TypeAdapter(list[InputItem])


def new_response_id() -> str:
    """Return an id for a new response."""
    return f"{_PREFIX}{new_id().hex}"


def conversation_of(services: ChatServices, principal: Principal, body: ResponseInputIn) -> ConversationItems:
    """Return the items of the request and of what it continues, and replace references by the items themselves.

    Raises NotFound if a response or the conversation does not exist. A reference to an unknown item is left as it is.
    """
    has_references = any(isinstance(item, ItemReferenceIn) for item in body.items)
    if body.previous_response_id is None and body.conversation_id is None and not has_references:
        return ConversationItems((), body.items)
    with principal_scope(services.engine, principal) as connection:
        earlier = _earlier_items(connection, principal, body)
        references = [item.id for item in (*earlier, *body.items) if isinstance(item, ItemReferenceIn)]
        found = _output_items(connection, principal, references)
    return ConversationItems(_resolved(earlier, found), _resolved(body.items, found))


def _resolved(items: Sequence[InputItem], found: Mapping[str, InputItem]) -> list[InputItem]:
    return [found.get(item.id, item) if isinstance(item, ItemReferenceIn) else item for item in items]


def _earlier_items(connection: Connection, principal: Principal, body: ResponseInputIn) -> list[InputItem]:
    if body.previous_response_id is not None:
        return _ITEMS.validate_python(responses.history(connection, parse_id(body.previous_response_id), user_id=principal.user_id))
    if body.conversation_id is not None:
        conversation_id = parse_conversation_id(body.conversation_id)
        return _ITEMS.validate_python(client_conversations.items(connection, conversation_id, user_id=principal.user_id))
    return []


def _output_items(connection: Connection, principal: Principal, item_ids: Iterable[str]) -> dict[str, InputItem]:
    """Return the output items with these ids. The id of an item contains the id of its response (`ResponseEvents`)."""
    response_ids = {response_id for item_id in item_ids if (response_id := _response_of(item_id))}
    if not response_ids:
        return {}
    items = responses.outputs(connection, response_ids, user_id=principal.user_id)
    return dict(zip((item["id"] for item in items), _ITEMS.validate_python(items), strict=True))


def _response_of(item_id: str) -> UUID | None:
    _, _, rest = item_id.partition("_")
    digits, _, _ = rest.partition("_")
    try:
        return parse_id(_PREFIX + digits)
    except NotFound:
        return None


def store(services: ChatServices, principal: Principal, body: ResponseIn, response: ResponseOut, *, deadline: Deadline) -> None:
    """Store a finished response, unless the client does not want it, and append it to its conversation.

    An unavailable database is only logged: the client gets the response, and can send its items itself.
    """
    if not response.store and response.conversation is None:
        return
    try:
        retry_while_unavailable(partial(_store, services, principal.user_id, stored_response(body, response)), deadline)
    except Unavailable:
        logger.exception("response_not_stored")


def stored_response(body: ResponseIn, response: ResponseOut) -> StoredResponse:
    """Return a response as it is stored, with the items of its request."""
    previous_id = parse_id(body.previous_response_id) if body.previous_response_id else None
    return StoredResponse(parse_id(response.id), previous_id, _input_items(body, response.id), response.model_dump(mode="json"))


def _store(services: ChatServices, user_id: UUID, stored: StoredResponse) -> None:
    with user_scope(services.engine, user_id) as connection:
        if stored.document["store"]:
            responses.store(connection, stored, user_id=user_id)
        append_to_conversation(connection, stored, stored.document, user_id=user_id)


def append_to_conversation(connection: Connection, stored: StoredResponse, document: Mapping[str, Any], *, user_id: UUID) -> None:
    """Append the input and the output of a response that has ended with `document` to its conversation, if it has one.

    A conversation that was deleted meanwhile stays deleted, and a response that failed or was cancelled is left out.
    """
    if (conversation := document.get("conversation")) and document["status"] in _ANSWERED:
        new = [*stored.input, *document["output"]]
        with suppress(NotFound):
            client_conversations.add_items(connection, parse_conversation_id(conversation["id"]), new, user_id=user_id, is_limited=False)


def remove(services: ChatServices, principal: Principal, id: str) -> DeletedResponseOut:
    """Delete a stored response. Raises NotFound."""
    with principal_scope(services.engine, principal) as connection:
        responses.remove(connection, parse_id(id), user_id=principal.user_id)
    return DeletedResponseOut(id=id)


def list_input(services: ChatServices, principal: Principal, id: str, page: ItemPageIn) -> ItemListOut:
    """Return a page of the items of a stored response's request. Raises NotFound, and InvalidInput for an unknown `after`."""
    return page_of(_get(services, principal, id).input, page)


def page_of(items: Sequence[Item], page: ItemPageIn) -> ItemListOut:
    """Return a page of items, which are given oldest first. Raises InvalidInput for an unknown `after`."""
    ordered = list(items) if page.order == "asc" else list(reversed(items))
    ids = [item["id"] for item in ordered]
    if page.after is not None and page.after not in ids:
        raise InvalidInput("must be the id of an item", loc=("query", "after"))
    first = ids.index(page.after) + 1 if page.after is not None else 0
    shown = ordered[first : first + page.limit]
    return ItemListOut(
        data=shown,
        first_id=shown[0]["id"] if shown else None,
        last_id=shown[-1]["id"] if shown else None,
        has_more=first + page.limit < len(ordered),
    )


def _get(services: ChatServices, principal: Principal, id: str) -> StoredResponse:
    with principal_scope(services.engine, principal) as connection:
        return responses.get(connection, parse_id(id), user_id=principal.user_id)


def parse_id(text: str) -> UUID:
    """Return the id of a response as a UUID. Raises NotFound for any other text, as for an id that does not exist."""
    return _parse(text, _PREFIX, "response")


def parse_conversation_id(text: str) -> UUID:
    """Return the id of a conversation as a UUID. Raises NotFound for any other text, as for an id that does not exist."""
    return _parse(text, CONVERSATION_PREFIX, "conversation")


def _parse(text: str, prefix: str, what: str) -> UUID:
    digits = text.removeprefix(prefix)
    try:
        if text == digits or len(digits) != _HEX_DIGITS:
            raise ValueError(f"not the id of a {what}")
        return UUID(digits)
    except ValueError as exc:
        raise NotFound(what, text) from exc


def _input_items(body: ResponseIn, response_id: str) -> list[Item]:
    """Return the items of the request as they are stored: each has an id, and the content of a message is a list."""
    return shown_items(body.items, id_prefix=f"in_{response_id.removeprefix(_PREFIX)}")


def shown_items(items: Sequence[InputItem], *, id_prefix: str) -> list[Item]:
    """Return items as a client reads them: each has an id, and the content of a message is a list."""
    return [{"id": f"{id_prefix}_{index}"} | item for index, item in enumerate(_dumped(items))]


def _dumped(items: Sequence[InputItem]) -> Iterator[dict[str, Any]]:
    for item in items:
        dumped = item.model_dump(exclude_none=True)
        if dumped["type"] == "message":
            kind = "output_text" if dumped["role"] == "assistant" else "input_text"
            content = [{"type": kind, "text": dumped["content"]}] if isinstance(dumped["content"], str) else dumped["content"]
            dumped |= {"status": "completed", "content": content}
        yield dumped
