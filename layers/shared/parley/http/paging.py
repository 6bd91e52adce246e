"""Cursor pagination: `?limit=` and an opaque `?cursor=`."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel

from parley.errors import InvalidInput

MAX_LIMIT = 100


class Listing[T](BaseModel):
    """One page of a list. `next_cursor` is null on the last page."""

    items: list[T]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The requested page. `after` is the sort key of the previous page's last item, None for the first page."""

    limit: int
    after: list[Any] | None

    def listing[I, T](self, rows: Sequence[I], *, to_item: Callable[[I], T], key: Callable[[I], list[Any]]) -> Listing[T]:
        """Make the page from up to `limit + 1` rows. The extra row is not shown; it proves that another page follows."""
        shown = rows[: self.limit]
        cursor = _encode(key(shown[-1])) if len(rows) > self.limit else None
        return Listing(items=[to_item(row) for row in shown], next_cursor=cursor)


def _encode(key: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key, default=str).encode()).decode().rstrip("=")


def _decode(cursor: str) -> list[Any]:
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError) as exc:
        raise _invalid_cursor() from exc
    if not isinstance(key, list):
        raise _invalid_cursor()
    return key


def _invalid_cursor() -> InvalidInput:
    return InvalidInput("not a cursor returned by this list", loc=("query", "cursor"))


def read_key[K](after: list[Any] | None, parse: Callable[..., K]) -> K | None:
    """Parse the cursor's values into a sort key; raise InvalidInput if `parse` rejects them."""
    try:
        return None if after is None else parse(*after)
    except (ValueError, TypeError, AttributeError, OverflowError) as exc:
        raise _invalid_cursor() from exc


def read_id(after: list[Any] | None) -> UUID | None:
    """Return the id in the cursor of a list sorted by id, or raise InvalidInput."""
    return read_key(after, _parse_id)


def _parse_id(text: str) -> UUID:
    # UUID() has more positional arguments, through which a cursor could pass invalid values such as 1.5.
    if not isinstance(text, str):
        raise TypeError(text)
    return UUID(text)


async def page_request(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 20, cursor: Annotated[str | None, Query(max_length=500)] = None
) -> PageRequest:
    """Read the page request from the query string."""
    return PageRequest(limit, _decode(cursor) if cursor is not None else None)


Page = Annotated[PageRequest, Depends(page_request)]
