"""Stored responses: kept for 30 days, so that a request can continue one, and the client can read or delete it."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Literal
from uuid import UUID

from pydantic import TypeAdapter

from functions.chat.responses_api.input_items import InputItem, ItemReferenceIn
from functions.chat.responses_api.requests import ConversationItems
from functions.chat.responses_api.response_schemas import DeletedResponseOut, ItemListOut, ResponseOut
from functions.chat.responses_api.schemas import ResponseIn, ResponseInputIn
from functions.chat.services import ChatServices
from parley.auth.principal import Principal
from parley.db import responses
from parley.db.engine import Connection
from parley.db.responses import Item, StoredResponse
from parley.db.transactions import principal_scope, user_scope
from parley.deadline import Deadline, retry_while_unavailable
from parley.errors import InvalidInput, NotFound, Unavailable
from parley.ids import new_id
from parley.observability import logger

_PREFIX = "resp_"
_HEX_DIGITS = 32
_ITEMS: TypeAdapter[list[InputItem]] = TypeAdapter(list[InputItem])


def new_response_id() -> str:
    """Return an id for a new response."""
    return f"{_PREFIX}{new_id().hex}"


def conversation_of(services: ChatServices, principal: Principal, body: ResponseInputIn) -> ConversationItems:
    """Return the items of the request and of the responses that it continues, and replace references by the items themselves.

    Raises NotFound if a response does not exist. A reference to an unknown item is left as it is.
    """
    references = [item.id for item in body.items if isinstance(item, ItemReferenceIn)]
    if body.previous_response_id is None and not references:
        return ConversationItems((), body.items)
    with principal_scope(services.engine, principal) as connection:
        earlier = _earlier_items(connection, principal, body.previous_response_id)
        found = _output_items(connection, principal, references)
    items = [found.get(item.id, item) if isinstance(item, ItemReferenceIn) else item for item in body.items]
    return ConversationItems(earlier, items)


def _earlier_items(connection: Connection, principal: Principal, previous_id: str | None) -> list[InputItem]:
    if previous_id is None:
        return []
    return _ITEMS.validate_python(responses.history(connection, _parse_id(previous_id), user_id=principal.user_id))


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
        return _parse_id(_PREFIX + digits)
    except NotFound:
        return None


def store(services: ChatServices, principal: Principal, body: ResponseIn, response: ResponseOut, *, deadline: Deadline) -> None:
    """Store a finished response, unless the client does not want it.

    An unavailable database is only logged: the client gets the response, and can send its items itself.
    """
    if not response.store:
        return
    previous_id = _parse_id(body.previous_response_id) if body.previous_response_id else None
    stored = StoredResponse(_parse_id(response.id), previous_id, _input_items(body, response.id), response.model_dump(mode="json"))
    try:
        retry_while_unavailable(partial(_store, services, principal.user_id, stored), deadline)
    except Unavailable:
        logger.exception("response_not_stored")


def _store(services: ChatServices, user_id: UUID, stored: StoredResponse) -> None:
    with user_scope(services.engine, user_id) as connection:
        responses.store(connection, stored, user_id=user_id)


def read(services: ChatServices, principal: Principal, id: str) -> ResponseOut:
    """Return a stored response. Raises NotFound."""
    return ResponseOut.model_validate(_get(services, principal, id).document)


def remove(services: ChatServices, principal: Principal, id: str) -> DeletedResponseOut:
    """Delete a stored response. Raises NotFound."""
    with principal_scope(services.engine, principal) as connection:
        responses.remove(connection, _parse_id(id), user_id=principal.user_id)
    return DeletedResponseOut(id=id)


def list_input(
    services: ChatServices, principal: Principal, id: str, *, order: Literal["asc", "desc"], limit: int, after: str | None
) -> ItemListOut:
    """Return a page of the items of a stored response's request. Raises NotFound, and InvalidInput for an unknown `after`."""
    items = list(_get(services, principal, id).input)
    if order == "desc":
        items.reverse()
    ids = [item["id"] for item in items]
    if after is not None and after not in ids:
        raise InvalidInput("must be the id of an item", loc=("query", "after"))
    first = ids.index(after) + 1 if after is not None else 0
    page = ids[first : first + limit]
    return ItemListOut(
        data=items[first : first + limit],
        first_id=page[0] if page else None,
        last_id=page[-1] if page else None,
        has_more=first + limit < len(items),
    )


def _get(services: ChatServices, principal: Principal, id: str) -> StoredResponse:
    with principal_scope(services.engine, principal) as connection:
        return responses.get(connection, _parse_id(id), user_id=principal.user_id)


def _parse_id(text: str) -> UUID:
    """Return the id of a response as a UUID. Raises NotFound for any other text, as for an id that does not exist."""
    digits = text.removeprefix(_PREFIX)
    try:
        if text == digits or len(digits) != _HEX_DIGITS:
            raise ValueError("not the id of a response")
        return UUID(digits)
    except ValueError as exc:
        raise NotFound("response", text) from exc


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
