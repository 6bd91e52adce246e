"""The routes of prompts."""

from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from functions.conversation.prompts import prompts
from functions.conversation.prompts.prompts import TooManyPrompts
from functions.conversation.prompts.schemas import (
    FilledPromptOut,
    PromptChanges,
    PromptIn,
    PromptOut,
    PromptSummaryOut,
    PromptValues,
    PromptVersionOut,
)
from functions.conversation.schemas import VERSION_KEY, RollbackIn
from parley.auth.principal import Principal
from parley.db.accounts import audit
from parley.db.assistants import prompts as stored
from parley.db.assistants import versions
from parley.db.assistants.prompts import PROMPTS, Prompt, PromptNameTaken
from parley.db.engine import Connection
from parley.db.groups import shares
from parley.errors import IdempotencyKeyReused, NotFound
from parley.http.dependencies import CurrentPrincipal, RequestOrigin, Transaction, requires
from parley.http.idempotency import IdempotencyHeader, IdempotentRequest
from parley.http.lazy_routes import LazyRoute
from parley.http.paging import Listing, Page
from parley.http.problems import error_responses
from parley.http.schemas import ShareIn, ShareOut

prompts_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("conversations"))])


@prompts_router.get("/prompts")
def list_prompts(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[PromptSummaryOut]:
    """List the caller's own prompts and those shared with the caller, newest first."""
    rows = stored.page(transaction, limit=page.limit + 1, after=page.after_id())
    fellows = shares.owners(transaction, (row.user_id for row in rows), user_id=principal.user_id)
    return page.listing(rows, to_item=lambda row: PromptSummaryOut.of(row, principal.user_id, fellows), key=lambda row: [row.id])


@prompts_router.post(
    "/prompts",
    status_code=201,
    response_model=PromptOut,
    responses=error_responses(TooManyPrompts, PromptNameTaken, IdempotencyKeyReused),
)
def create_prompt(
    body: PromptIn, principal: CurrentPrincipal, transaction: Transaction, idempotency: IdempotencyHeader
) -> BaseModel | dict[str, Any]:
    """Create a prompt: its first version, private to the caller."""
    render = partial(_shown, transaction, principal)
    request: IdempotentRequest[Prompt] = idempotency.request("POST /prompts", body, render=render)
    return request.run_once(transaction, principal.user_id, lambda: prompts.create(transaction, principal, body)).response


@prompts_router.get("/prompts/{id}", responses=error_responses(NotFound))
def get_prompt(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> PromptOut:
    """Return a prompt that the caller may use, with its text."""
    return _shown(transaction, principal, stored.get(transaction, id, user_id=principal.user_id))


@prompts_router.patch("/prompts/{id}", responses=error_responses(NotFound, PromptNameTaken))
def change_prompt(id: UUID, body: PromptChanges, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> PromptOut:
    """Change the caller's own prompt. A changed text or description is a new version; the last 50 versions are kept."""
    return _shown(transaction, principal, prompts.change(transaction, principal, id, body, origin=origin))


@prompts_router.delete("/prompts/{id}", status_code=204, responses=error_responses(NotFound))
def delete_prompt(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> None:
    """Delete the caller's own prompt, for everybody."""
    versions.remove(transaction, PROMPTS, id, user_id=principal.user_id)


@prompts_router.post("/prompts/{id}/fill", responses=error_responses(NotFound))
def fill_prompt(id: UUID, body: PromptValues, principal: CurrentPrincipal, transaction: Transaction) -> FilledPromptOut:
    """Return the text of a prompt with values in place of its variables. Nothing is stored or sent to a model."""
    return FilledPromptOut(text=prompts.filled_text(transaction, principal, id, body.values))


@prompts_router.get("/prompts/{id}/versions", responses=error_responses(NotFound))
def list_prompt_versions(id: UUID, principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[PromptVersionOut]:
    """List the versions of the caller's own prompt, newest first."""
    shares.check_owned(transaction, shares.PROMPTS, id, user_id=principal.user_id)
    (before,) = page.after(VERSION_KEY) or (None,)
    rows = versions.page(transaction, PROMPTS, id, user_id=principal.user_id, limit=page.limit + 1, before=before)
    return page.listing(rows, to_item=PromptVersionOut.model_validate, key=lambda row: [row.version])


@prompts_router.post("/prompts/{id}/rollback", responses=error_responses(NotFound))
def roll_back_prompt(id: UUID, body: RollbackIn, principal: CurrentPrincipal, transaction: Transaction) -> PromptOut:
    """Return to an earlier version: its text and description become a new version, and all versions stay as they are."""
    return _shown(transaction, principal, prompts.roll_back(transaction, principal, id, body.version))


@prompts_router.get("/prompts/{id}/shares", responses=error_responses(NotFound))
def list_prompt_shares(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> Listing[ShareOut]:
    """List the groups with which the caller's own prompt is shared, by name."""
    found = shares.list_all(transaction, shares.PROMPTS, id, user_id=principal.user_id)
    return Listing(items=[ShareOut.model_validate(share) for share in found], next_cursor=None)


@prompts_router.put("/prompts/{id}/shares", status_code=204, responses=error_responses(NotFound))
def share_prompt(id: UUID, body: ShareIn, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> None:
    """Share the caller's own prompt with a group of the caller. Its members can use the prompt, and only its owner can change it."""
    shares.add(transaction, shares.PROMPTS, id, body.group_id, user_id=principal.user_id)
    audit.record_share(transaction, principal.user_id, "prompt", id, origin, is_shared=True, group_id=body.group_id)


@prompts_router.delete("/prompts/{id}/shares", status_code=204, responses=error_responses(NotFound))
def unshare_prompt(id: UUID, body: ShareIn, principal: CurrentPrincipal, transaction: Transaction, origin: RequestOrigin) -> None:
    """End the share of the caller's own prompt with a group, with immediate effect."""
    shares.remove(transaction, shares.PROMPTS, id, body.group_id, user_id=principal.user_id)
    audit.record_share(transaction, principal.user_id, "prompt", id, origin, is_shared=False, group_id=body.group_id)


def _shown(connection: Connection, principal: Principal, prompt: Prompt) -> PromptOut:
    fellows = shares.owners(connection, [prompt.user_id], user_id=principal.user_id)
    return PromptOut.of(prompt, principal.user_id, fellows)
