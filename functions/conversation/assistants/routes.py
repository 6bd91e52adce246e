"""The routes of assistants."""

from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from functions.conversation.assistants import assistants
from functions.conversation.assistants.assistants import TooManyAssistants
from functions.conversation.assistants.schemas import (
    AssistantChanges,
    AssistantIn,
    AssistantOut,
    AssistantSummaryOut,
    AssistantVersionOut,
)
from functions.conversation.schemas import VERSION_KEY, RollbackIn
from parley.auth.principal import Principal
from parley.db.accounts import audit
from parley.db.assistants import assistants as stored
from parley.db.assistants import versions
from parley.db.assistants.assistants import ASSISTANTS, Assistant
from parley.db.engine import Connection
from parley.db.groups import shares
from parley.errors import IdempotencyKeyReused, NotFound
from parley.http.dependencies import CurrentPrincipal, RequestOrigin, Transaction, requires
from parley.http.idempotency import IdempotencyHeader, IdempotentRequest
from parley.http.lazy_routes import LazyRoute
from parley.http.paging import Listing, Page
from parley.http.problems import error_responses
from parley.http.schemas import ShareIn, ShareOut

router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("conversations"))])


@router.get("/assistants")
def list_assistants(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[AssistantSummaryOut]:
    """List the caller's own assistants and those shared with the caller, newest first."""
    rows = stored.page(transaction, limit=page.limit + 1, after=page.after_id())
    fellows = shares.owners(transaction, (row.user_id for row in rows), user_id=principal.user_id)
    return page.listing(rows, to_item=lambda row: AssistantSummaryOut.of(row, principal.user_id, fellows), key=lambda row: [row.id])


@router.post(
    "/assistants", status_code=201, response_model=AssistantOut, responses=error_responses(TooManyAssistants, IdempotencyKeyReused)
)
def create_assistant(
    body: AssistantIn, principal: CurrentPrincipal, transaction: Transaction, idempotency: IdempotencyHeader
) -> BaseModel | dict[str, Any]:
    """Create an assistant: its first version, private to the caller."""
    render = partial(_shown, transaction, principal)
    request: IdempotentRequest[Assistant] = idempotency.request("POST /assistants", body, render=render)
    return request.run_once(transaction, principal.user_id, lambda: assistants.create(transaction, principal, body.settings())).response


@router.get("/assistants/{id}", responses=error_responses(NotFound))
def get_assistant(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> AssistantOut:
    """Return an assistant that the caller may use, with its instructions."""
    return _shown(transaction, principal, stored.get(transaction, id))


@router.patch("/assistants/{id}", responses=error_responses(NotFound))
def change_assistant(
    id: UUID, body: AssistantChanges, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin
) -> AssistantOut:
    """Change the caller's own assistant. Changed settings become a new version, which the next turns use; the last 50 versions are kept."""
    return _shown(transaction, principal, assistants.change(transaction, principal, id, body, origin=origin))


@router.delete("/assistants/{id}", status_code=204, responses=error_responses(NotFound))
def delete_assistant(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> None:
    """Delete the caller's own assistant, for everybody. Its conversations stay readable."""
    versions.remove(transaction, ASSISTANTS, id, user_id=principal.user_id)


@router.get("/assistants/{id}/versions", responses=error_responses(NotFound))
def list_assistant_versions(id: UUID, principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[AssistantVersionOut]:
    """List the versions of the caller's own assistant, newest first."""
    shares.check_owned(transaction, shares.ASSISTANTS, id, user_id=principal.user_id)
    (before,) = page.after(VERSION_KEY) or (None,)
    rows = versions.page(transaction, ASSISTANTS, id, user_id=principal.user_id, limit=page.limit + 1, before=before)
    return page.listing(rows, to_item=AssistantVersionOut.of, key=lambda row: [row.version])


@router.post("/assistants/{id}/rollback", responses=error_responses(NotFound))
def roll_back_assistant(id: UUID, body: RollbackIn, principal: CurrentPrincipal, transaction: Transaction) -> AssistantOut:
    """Return to the settings of an earlier version: they become a new version, and all versions stay as they are."""
    return _shown(transaction, principal, assistants.roll_back(transaction, principal, id, body.version))


@router.get("/assistants/{id}/shares", responses=error_responses(NotFound))
def list_assistant_shares(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> Listing[ShareOut]:
    """List the groups with which the caller's own assistant is shared, by name."""
    found = shares.list_all(transaction, shares.ASSISTANTS, id, user_id=principal.user_id)
    return Listing(items=[ShareOut.model_validate(share) for share in found], next_cursor=None)


@router.put("/assistants/{id}/shares", status_code=204, responses=error_responses(NotFound))
def share_assistant(id: UUID, body: ShareIn, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> None:
    """Share the caller's own assistant with a group of the caller. Its members can use it, but get no document that they cannot read."""
    shares.add(transaction, shares.ASSISTANTS, id, body.group_id, user_id=principal.user_id)
    audit.record_share(transaction, principal.user_id, "assistant", id, origin, is_shared=True, group_id=body.group_id)


@router.delete("/assistants/{id}/shares", status_code=204, responses=error_responses(NotFound))
def unshare_assistant(id: UUID, body: ShareIn, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> None:
    """End the share of the caller's own assistant with a group, with immediate effect."""
    shares.remove(transaction, shares.ASSISTANTS, id, body.group_id, user_id=principal.user_id)
    audit.record_share(transaction, principal.user_id, "assistant", id, origin, is_shared=False, group_id=body.group_id)


def _shown(connection: Connection, principal: Principal, assistant: Assistant) -> AssistantOut:
    fellows = shares.owners(connection, [assistant.user_id], user_id=principal.user_id)
    return AssistantOut.of(assistant, principal.user_id, fellows)
