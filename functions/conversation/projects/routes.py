"""The routes of projects, and of changes to many conversations."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from functions.conversation.schemas import ProjectId, SystemPrompt, Tag
from parley.db.projects import projects
from parley.db.projects.bulk_changes import BulkAction, BulkOutcome, change_many, remove_project
from parley.db.projects.projects import MemoryScope, TooManyProjects
from parley.errors import IdempotencyKeyReused, NotFound
from parley.http.dependencies import CurrentPrincipal, Transaction, requires
from parley.http.idempotency import IdempotencyHeader
from parley.http.lazy_routes import LazyRoute
from parley.http.paging import PAGE_BYTES, Listing, Page
from parley.http.problems import error_responses
from parley.http.schemas import Input, Output, Timestamp
from parley.ids import new_id

MAX_CONVERSATIONS = 100
MAX_DOCUMENTS = 100


def _without_repetition(ids: Sequence[UUID]) -> list[UUID]:
    return list(dict.fromkeys(ids))


ProjectName = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True), Field(examples=["Lisbon"])]
DocumentIds = Annotated[list[Annotated[UUID, Field(strict=False)]], Field(max_length=MAX_DOCUMENTS), AfterValidator(_without_repetition)]
ConversationIds = Annotated[
    list[Annotated[UUID, Field(strict=False)]],
    Field(min_length=1, max_length=MAX_CONVERSATIONS, examples=[["01996f6a-0000-7000-8000-000000000003"]]),
]


class ProjectIn(Input):
    """POST /projects. `documents` are ids of the user's own documents."""

    name: ProjectName
    instructions: SystemPrompt | None = None
    memory_scope: MemoryScope = "all"
    documents: DocumentIds = Field(default_factory=list)


class ProjectChanges(Input):
    """PATCH /projects/{id}. Omitted fields stay unchanged."""

    name: ProjectName = "unchanged"
    instructions: SystemPrompt | None = None
    memory_scope: MemoryScope = "all"
    documents: DocumentIds = Field(default_factory=list)


class ProjectOut(Output):
    """A project. The turns of its conversations follow `instructions` and search `documents`.

    With `memory_scope` `project`, they recall only what was said in the project, and facts that the user wrote.
    """

    id: UUID
    name: str
    instructions: str | None
    memory_scope: MemoryScope
    documents: list[UUID]
    created_at: Timestamp


class BulkChangeIn(Input):
    """POST /conversations/bulk. The actions `tag` and `untag` need a `tag`; `move` without a `project_id` moves out of projects."""

    action: BulkAction
    ids: ConversationIds
    tag: Tag | None = None
    project_id: ProjectId | None = None

    @model_validator(mode="after")
    def _require_argument(self) -> Self:
        if (self.tag is not None) != (self.action in ("tag", "untag")):
            raise PydanticCustomError("tag", "tag is for the actions tag and untag, which need it")
        if self.project_id is not None and self.action != "move":
            raise PydanticCustomError("project_id", "project_id is for the action move")
        return self


class BulkResultOut(Output):
    """The outcome for a conversation. `done` also if nothing had to change."""

    id: UUID
    outcome: BulkOutcome


class BulkResultsOut(Output):
    """The outcome for each conversation, in the order of the request."""

    items: list[BulkResultOut]


bulk_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("conversations"))])


@bulk_router.post("/conversations/bulk", responses=error_responses(NotFound))
def change_conversations(body: BulkChangeIn, principal: CurrentPrincipal, transaction: Transaction) -> BulkResultsOut:
    """Move, archive, delete or tag up to 100 conversations.

    Each is changed whole or not at all, and a repeated request changes nothing more.
    """
    results = change_many(
        transaction, body.ids, user_id=principal.user_id, action=body.action, tag=body.tag or "", project_id=body.project_id
    )
    return BulkResultsOut(items=[BulkResultOut.model_validate(result) for result in results])


projects_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("conversations"))])


@projects_router.post(
    "/projects", status_code=201, response_model=ProjectOut, responses=error_responses(TooManyProjects, NotFound, IdempotencyKeyReused)
)
def create_project(
    body: ProjectIn, principal: CurrentPrincipal, transaction: Transaction, idempotency: IdempotencyHeader
) -> BaseModel | dict[str, Any]:
    """Create a project: a folder of conversations with instructions and documents of its own."""
    user_id = principal.user_id
    request = idempotency.request("POST /projects", body, render=ProjectOut.model_validate)
    return request.run_once(
        transaction, user_id, lambda: projects.add(transaction, new_id(), user_id=user_id, **body.model_dump())
    ).response


@projects_router.get("/projects")
def list_projects(principal: CurrentPrincipal, transaction: Transaction, page: Page) -> Listing[ProjectOut]:
    """List the user's projects, newest first. A page holds at most 1 MiB of instructions, so it may have fewer items than `limit`."""
    rows = projects.page(transaction, user_id=principal.user_id, limit=page.limit, max_bytes=PAGE_BYTES, after=page.after_id())
    return page.listing(rows, to_item=ProjectOut.model_validate, key=lambda row: [row.id])


@projects_router.get("/projects/{id}")
def get_project(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> ProjectOut:
    """Return a project."""
    return ProjectOut.model_validate(projects.get(transaction, id, user_id=principal.user_id))


@projects_router.patch("/projects/{id}")
def change_project(id: UUID, body: ProjectChanges, principal: CurrentPrincipal, transaction: Transaction) -> ProjectOut:
    """Change the given fields of a project. They count from the next turn on."""
    changes = body.model_dump(exclude_unset=True)
    return ProjectOut.model_validate(projects.change(transaction, id, user_id=principal.user_id, changes=changes))


@projects_router.delete("/projects/{id}", status_code=204)
def remove_one_project(
    id: UUID, principal: CurrentPrincipal, transaction: Transaction, conversations: Literal["keep", "delete"] = "keep"
) -> None:
    """Delete a project. Its conversations stay, without a project, or are deleted with it. Documents stay."""
    remove_project(transaction, id, user_id=principal.user_id, with_conversations=conversations == "delete")
