"""Cursor pagination: `?limit=`, an opaque `?cursor=`, and a limit on the bytes of a page.

A page ends at `limit` items or at `PAGE_BYTES` of JSON, whichever comes first, but has at least one item. Without the
second limit, a list of long items would exceed the size that Lambda allows for a response, and would fail on every attempt.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from parley.db.row_page import RowPage
from parley.errors import InvalidInput

MAX_LIMIT = 100
PAGE_BYTES = 1024 * 1024

# The types of the values in a cursor. A client can send any JSON, so the types admit only values that PostgreSQL can compare.
CursorNumber = Annotated[int, Field(ge=0, lt=2**31)]
CursorText = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]
ID_KEY = TypeAdapter(tuple[UUID])


class Listing[T](BaseModel):
    """One page of a list. `next_cursor` is null on the last page."""

    items: list[T]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The requested page. `cursor` is JSON from the client, None for the first page; `after` validates it."""

    limit: int
    cursor: bytes | None

    def after[K: tuple[Any, ...]](self, key_type: TypeAdapter[K]) -> K | None:
        """Return the sort key of the previous page's last item, or raise InvalidInput if the cursor holds no such key."""
        try:
            return None if self.cursor is None else key_type.validate_json(self.cursor, strict=True)
        except ValidationError as exc:
            raise _invalid_cursor() from exc

    def after_id(self) -> UUID | None:
        """Return the id in the cursor of a list sorted by id, or raise InvalidInput."""
        key = self.after(ID_KEY)
        return key[0] if key else None

    def listing[I, T](
        self, rows: Sequence[I] | RowPage[I], *, to_item: Callable[[I], T], key: Callable[[I], Sequence[object]]
    ) -> Listing[T]:
        """Return the page of `rows`. If a sequence has more than `limit` rows, another page follows; the extra rows are not shown."""
        page = rows if isinstance(rows, RowPage) else RowPage(rows[: self.limit], has_more=len(rows) > self.limit)
        items = items_within(PAGE_BYTES, page.rows, to_item)
        has_more = page.has_more or len(items) < len(page.rows)
        return Listing(items=items, next_cursor=_encode(key(page.rows[len(items) - 1])) if has_more else None)


def items_within[I, T](max_bytes: int, rows: Sequence[I], to_item: Callable[[I], T]) -> list[T]:
    """Return the items of the first rows, as many as fit into `max_bytes` of JSON. The first item is always returned."""
    items: list[T] = []
    for row in rows:
        item = to_item(row)
        max_bytes -= len(to_json(item))
        if items and max_bytes < 0:
            break
        items.append(item)
    return items


def _encode(key: Sequence[object]) -> str:
    return base64.urlsafe_b64encode(to_json(key)).decode().rstrip("=")


def _invalid_cursor() -> InvalidInput:
    return InvalidInput("not a cursor returned by this list", loc=("query", "cursor"))


async def page_request(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 20, cursor: Annotated[str | None, Query(max_length=500)] = None
) -> PageRequest:
    """Read the page request from the query string."""
    try:
        decoded = None if cursor is None else base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError) as exc:
        raise _invalid_cursor() from exc
    return PageRequest(limit, decoded)


Page = Annotated[PageRequest, Depends(page_request)]
