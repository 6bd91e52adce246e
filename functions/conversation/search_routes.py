"""The routes that search what a user has said, and what is known of them."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from functions.conversation.desk import Desk
from functions.conversation.search_schemas import FoundMemoriesPage, FoundMemoryOut, FoundPassageOut, FoundPassagesPage
from functions.conversation.searching import MOST, Mode, search_conversations, search_memories
from parley.errors import InvalidInput
from parley.http.dependencies import CurrentPrincipal, requires
from parley.http.paging import Page, PageRequest, read_key

router = APIRouter(dependencies=[Depends(requires("conversations"))])

Words = Annotated[str, Query(min_length=1, max_length=2000)]


@router.get("/conversations/search")
def find_conversations(q: Words, request: Request, principal: CurrentPrincipal, page: Page, mode: Mode = "hybrid") -> FoundPassagesPage:
    """Search the user's past conversations, the best first.

    By words (`text`), by meaning (`semantic`) or both; the answer's `mode` is `text` where no embedding service answered.
    `snippet` is HTML: escaped, the words that were asked for in `<mark>`.
    """
    found = search_conversations(_desk(request), principal, _checked(q), mode)
    listing = page.listing(_ranked(found.items, page), to_item=lambda one: FoundPassageOut.of(one[1], q), key=lambda one: [one[0]])
    return FoundPassagesPage(**dict(listing), mode=found.mode)


@router.get("/memories/search")
def find_memories(q: Words, request: Request, principal: CurrentPrincipal, page: Page, mode: Mode = "hybrid") -> FoundMemoriesPage:
    """Search the facts that hold, the best first; `mode` as in `/conversations/search`."""
    found = search_memories(_desk(request), principal, _checked(q), mode)
    listing = page.listing(_ranked(found.items, page), to_item=lambda one: FoundMemoryOut.of(one[1]), key=lambda one: [one[0]])
    return FoundMemoriesPage(**dict(listing), mode=found.mode)


def _desk(request: Request) -> Desk:
    services: Desk = request.app.state.services
    return services


def _checked(query: str) -> str:
    """Refuse what PostgreSQL cannot take for a text."""
    if "\0" in query:
        raise InvalidInput("the text holds characters that cannot be searched for", loc=("query", "q"))
    return query


def _ranked[T](found: Sequence[T], page: PageRequest) -> list[tuple[int, T]]:
    """Return the page's part of all that was found and one more, each with its rank from 1 on; the cursor is a rank."""
    seen = read_key(page.after, _rank) or 0
    return list(enumerate(found, 1))[seen : seen + page.limit + 1]


def _rank(value: object) -> int:
    if not isinstance(value, int) or not 0 < value <= MOST:
        raise ValueError(f"{value!r} is no rank")
    return value
