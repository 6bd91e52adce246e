"""Which export of a user is recent."""

import pytest

from parley.db.accounts import exports
from parley.ids import new_id


@pytest.mark.parametrize(("file_key", "is_found"), [("exports/1", True), (None, False)])
def test_a_recent_export_is_the_newest_that_did_not_fail(unrestricted, people, file_key, is_found):
    which = {"user_id": people[0]}
    first, second = (exports.add(unrestricted, new_id(), **which).id for _ in range(2))
    assert exports.find_recent(unrestricted, **which).id == second

    exports.finish(unrestricted, second, file_key=file_key, **which)
    assert exports.find_recent(unrestricted, **which).id == (second if is_found else first)
