import asyncio

import pytest

from parley.errors import InvalidInput
from parley.http.paging import PageRequest, page_request, read_key


def request(limit: int, cursor: str | None = None) -> PageRequest:
    return asyncio.run(page_request(limit, cursor))


def listing(found, *, limit=2):
    return request(limit).listing(found, to_item=lambda row: row, key=lambda row: [row])


def test_the_extra_row_becomes_a_cursor_and_is_not_shown():
    page = listing([1, 2, 3])

    assert page.items == [1, 2]
    assert request(2, page.next_cursor).after == [2]


def test_the_last_page_has_no_cursor():
    assert listing([1, 2]).next_cursor is None
    assert listing([]).next_cursor is None


@pytest.mark.parametrize("cursor", ["", "!", "bm9wZQ", "e30", "\u00e9", "W" * 400])
def test_a_malformed_cursor_is_refused(cursor):
    with pytest.raises(InvalidInput):
        request(2, cursor)


def test_a_cursor_of_another_list_is_refused():
    with pytest.raises(InvalidInput):
        read_key(["not a number"], int)
