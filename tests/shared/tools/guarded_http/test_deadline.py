"""The deadline of a whole request."""

import pytest

from parley.tools.guarded_http.deadline import FetchDeadline
from parley.tools.guarded_http.errors import FetchFailed


def test_a_wait_ends_with_its_own_limit_or_with_the_request():
    deadline = FetchDeadline(60)

    assert deadline.left_s(1) == 1
    assert 1 < deadline.left_s() <= 60
    assert 1 < deadline.left_s(600) <= 60


def test_no_wait_begins_after_the_end_of_the_request():
    with pytest.raises(FetchFailed, match="longer than 0 seconds"):
        FetchDeadline(0).left_s(1)
