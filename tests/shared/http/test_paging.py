import asyncio
from base64 import urlsafe_b64encode
from datetime import datetime
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from parley.db.row_page import RowPage
from parley.errors import InvalidInput
from parley.http.paging import ID_KEY, PAGE_BYTES, CursorNumber, CursorText, PageRequest, page_request

NUMBER_KEY = TypeAdapter(tuple[CursorNumber])
KEYS = [
    ID_KEY,
    NUMBER_KEY,
    TypeAdapter(tuple[CursorNumber, CursorNumber]),
    TypeAdapter(tuple[datetime, UUID]),
    TypeAdapter(tuple[CursorText]),
]


def request(limit: int, cursor: str | None = None) -> PageRequest:
    return asyncio.run(page_request(limit, cursor))


def listing(found, *, limit=2):
    return request(limit).listing(found, to_item=lambda row: row, key=lambda row: [row])


def test_the_extra_row_becomes_a_cursor_and_is_not_shown():
    page = listing([1, 2, 3])

    assert page.items == [1, 2]
    assert request(2, page.next_cursor).after(NUMBER_KEY) == (2,)


def test_the_last_page_has_no_cursor():
    assert listing([1, 2]).next_cursor is None
    assert listing([]).next_cursor is None


def test_a_page_ends_at_its_bound_of_bytes_and_the_cursor_continues():
    third = "x" * (PAGE_BYTES // 3)
    page = request(100).listing([third + str(number) for number in range(5)], to_item=str, key=lambda row: [len(row)])

    assert len(page.items) == 2
    assert request(2, page.next_cursor).after(NUMBER_KEY) == (len(third) + 1,)


def test_a_page_has_a_mebibyte_of_items_at_most():
    item = "x" * (512 * 1024 - 2)  # and two quotes

    for rows, shown in (([item] * 3, 2), ([item, item + "x"], 1)):
        assert len(request(100).listing(rows, to_item=str, key=lambda row: [1]).items) == shown


@pytest.mark.parametrize(("key", "value"), [(NUMBER_KEY, 0), (TypeAdapter(tuple[CursorText]), "x" * 500)])
def test_a_list_may_go_on_after_a_row_with_the_number_zero_or_a_long_name(key, value):
    page = request(1).listing([1, 2], to_item=str, key=lambda row: [value])

    assert request(1, page.next_cursor).after(key) == (value,)


def test_a_page_has_one_item_however_long_it_is():
    assert len(request(100).listing(["x" * 3 * PAGE_BYTES] * 2, to_item=str, key=lambda row: [1]).items) == 1


def test_rows_that_the_database_left_out_follow_on_the_next_page():
    page = listing(RowPage([1], has_more=True))

    assert request(2, page.next_cursor).after(NUMBER_KEY) == (1,)


@pytest.mark.parametrize("cursor", ["", "!", "bm9wZQ", "e30", "\u00e9", "W" * 400])
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_malformed_cursor_is_refused(cursor, key):
    with pytest.raises(InvalidInput):
        request(2, cursor).after(key)


@pytest.mark.parametrize(
    "values",
    [
        "[true]",
        "[true,1]",
        "[2147483648]",
        "[1,2147483648]",
        "[1e30]",
        "[1e308]",
        "[1.0]",
        '["\\u0000"]',
        '["\\ud800"]',
        "[null]",
        "[[1]]",
        "[NaN]",
    ],
)
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_cursor_with_values_that_no_list_sorts_by_is_refused(values, key):
    with pytest.raises(InvalidInput):
        request(2, urlsafe_b64encode(values.encode()).decode()).after(key)


def test_a_cursor_of_another_list_is_refused():
    cursor = listing(["a", "b", "c"]).next_cursor

    with pytest.raises(InvalidInput):
        request(2, cursor).after(NUMBER_KEY)
