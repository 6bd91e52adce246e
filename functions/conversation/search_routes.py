"""The routes that search a user's conversations and memories."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import Field, TypeAdapter

from functions.conversation.schemas import FoundMemoriesPage, FoundMemoryOut, FoundPassageOut, FoundPassagesPage
from functions.conversation.search import MAX_RESULTS, SearchMode, search_conversations, search_memories
from functions.conversation.services import ConversationServicesDep
from parley.errors import InvalidInput, NotFound
from parley.http.dependencies import CurrentPrincipal, require_live_session, requires
from parley.http.lazy_routes import LazyRoute
from parley.http.paging import Page, PageRequest
from parley.http.problems import error_responses

# The sort key in the cursors of these lists.
RANK_KEY = TypeAdapter(tuple[Annotated[int, Field(gt=0, le=MAX_RESULTS)]])

SearchQuery = Annotated[str, Query(min_length=1, max_length=2000)]

# Check the session first: a search spends money on an embedding before it opens a transaction.
search_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("conversations")), Depends(require_live_session)])


@search_router.get("/conversations/search", responses=error_responses(NotFound))
def find_conversations(
    q: SearchQuery,
    services: ConversationServicesDep,
    principal: CurrentPrincipal,
    page: Page,
    mode: SearchMode = "hybrid",
    project_id: UUID | None = None,
) -> FoundPassagesPage:
    """Search the user's past conversations, best results first; with `project_id`, only those of the project.

    `mode` searches by words (`text`), by meaning (`semantic`) or both (`hybrid`). The response's `mode` is the mode that was
    used: `text` if no embedding was available. `snippet` is escaped HTML with the query's words in `<mark>`.
    """
    results = search_conversations(services, principal, without_nul(q), mode, project_id)
    ranked = _page_with_ranks(results.items, page)
    listing = page.listing(ranked, to_item=lambda row: FoundPassageOut.of(row[1], q), key=lambda row: [row[0]])
    return FoundPassagesPage(**dict(listing), mode=results.mode)


@search_router.get("/memories/search")
def find_memories(
    q: SearchQuery, services: ConversationServicesDep, principal: CurrentPrincipal, page: Page, mode: SearchMode = "hybrid"
) -> FoundMemoriesPage:
    """Search the user's current facts, best results first. `mode` works as in `/conversations/search`."""
    results = search_memories(services, principal, without_nul(q), mode)
    ranked = _page_with_ranks(results.items, page)
    listing = page.listing(ranked, to_item=lambda row: FoundMemoryOut.of(row[1]), key=lambda row: [row[0]])
    return FoundMemoriesPage(**dict(listing), mode=results.mode)


def without_nul(query: str, *, name: str = "q") -> str:
    """Return the parameter `name` of the query. Raises InvalidInput if it contains NUL, which PostgreSQL text cannot hold."""
    if "\0" in query:
        raise InvalidInput("must not contain NUL characters", loc=("query", name))
    return query


def _page_with_ranks[T](results: Sequence[T], page: PageRequest) -> list[tuple[int, T]]:
    """Return the page's results and the next result, each with its rank, counted from 1. The cursor is the page's last rank."""
    (seen,) = page.after(RANK_KEY) or (0,)
    return list(enumerate(results, 1))[seen : seen + page.limit + 1]
