"""The routes of a user's API keys."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from functions.auth.api_key_schemas import ApiKeyOut, MadeApiKeyOut, NewApiKey
from functions.auth.api_keys import revoke_key
from functions.auth.api_keys_once import make_once
from functions.auth.errors import TooManyApiKeys
from functions.auth.sign_in_routes import desk_of
from parley.db.accounts import api_keys
from parley.errors import NotFound
from parley.http.dependencies import CurrentPrincipal, RequestOrigin, Transaction, requires
from parley.http.idempotency import IdempotencyHeader, IdempotencyKeyReused
from parley.http.paging import Listing, Page, read_id
from parley.http.problems import error_responses

router = APIRouter(dependencies=[Depends(requires("account"))])


@router.post(
    "/auth/api-keys", status_code=201, response_model=MadeApiKeyOut, responses=error_responses(TooManyApiKeys, IdempotencyKeyReused)
)
def make_api_key(
    body: NewApiKey, request: Request, principal: CurrentPrincipal, origin: RequestOrigin, once: IdempotencyHeader
) -> MadeApiKeyOut | dict[str, Any]:
    """Make a key. It is shown in this answer and never again."""
    return make_once(desk_of(request), principal, body, once, origin=origin)


@router.get("/auth/api-keys")
def list_api_keys(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[ApiKeyOut]:
    """List the caller's keys, newest first, without the keys themselves."""
    found = api_keys.page(transaction, user_id=principal.user_id, limit=page.limit + 1, after=read_id(page.after))
    return page.listing(found, to_item=ApiKeyOut.model_validate, key=lambda row: [row.id])


@router.delete("/auth/api-keys/{id}", status_code=204, responses=error_responses(NotFound))
def revoke_api_key(id: UUID, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> None:
    """Make a key useless at once."""
    revoke_key(transaction, principal, id, origin=origin)
