"""Pages of rows with a limit in bytes: PostgreSQL stops reading at the limit and sends only the rows of the page.

The rows of a page may be chosen by a text that a user is typing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, Text, and_, cast, func, literal, or_, select, true, tuple_


@dataclass(frozen=True, slots=True)
class RowPage[T]:
    """The rows of a page, and whether more rows follow."""

    rows: Sequence[T]
    has_more: bool


def read_page(
    connection: Connection,
    rows: Select[Any],
    *,
    key: Sequence[ColumnElement[Any]],
    descending: bool,
    size: ColumnElement[int],
    limit: int,
    max_bytes: int,
) -> RowPage[Row[Any]]:
    """Return the first of `rows` in the order of the unique sort key `key`: at most `limit` rows, and `max_bytes` by `size`.

    The first row is always returned. A recursive query follows the index row by row; a window function would read all `limit`
    rows first, because the size of a JSON column is known only after the column has been read.
    """
    names = [f"key{number}" for number in range(len(key))]
    order = [column.desc() if descending else column.asc() for column in key]
    step = rows.with_only_columns(*(column.label(name) for name, column in zip(names, key, strict=True)), size.label("bytes"))

    first = step.order_by(*order).limit(1).subquery()
    read = select(*(first.c[name] for name in names), first.c.bytes.label("total"), literal(1).label("n")).cte("read", recursive=True)
    previous = tuple_(*(read.c[name] for name in names))
    follows = tuple_(*key) < previous if descending else tuple_(*key) > previous
    following = step.where(follows).order_by(*order).limit(1).lateral("following")
    # The row after the page is read too, as proof that another page follows.
    is_needed = and_(read.c.n <= limit, or_(read.c.total <= max_bytes, read.c.n == 1))
    columns = (*(following.c[name] for name in names), read.c.total + following.c.bytes, read.c.n + 1)
    read = read.union_all(select(*columns).select_from(read.join(following, true())).where(is_needed))

    is_row = and_(*(column == read.c[name] for name, column in zip(names, key, strict=True)))
    is_shown = and_(read.c.n <= limit, or_(read.c.total <= max_bytes, read.c.n == 1))
    count = select(func.max(read.c.n)).scalar_subquery()
    found = connection.execute(rows.add_columns(count.label("rows_read")).join(read, is_row).where(is_shown).order_by(read.c.n)).all()
    return RowPage(found, has_more=bool(found) and found[0].rows_read > len(found))


def matches_title_or_id(table: Table, typed: str) -> ColumnElement[bool]:
    """Return a condition on rows: the title contains `typed` in any case, or the id begins with it. An empty `typed` matches all rows."""
    if not typed:
        return true()
    is_in_title = table.c.title.icontains(typed, autoescape=True)
    return or_(is_in_title, cast(table.c.id, Text).startswith(typed.lower(), autoescape=True))
