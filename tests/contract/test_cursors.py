"""No cursor that a client invents is a server error, on any list of the API."""

import json
from base64 import urlsafe_b64encode

import pytest

from tests.contract.operations import operations

LISTS = [operation for operation in operations() if "cursor" in operation.query]
DATES = ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "0001-01-01", "9999-12-31"]
ID = "01996f6a-0000-7000-8000-000000000009"
INVENTED = [[True, 1], [1e30], [1e308], [1e308, 0], [-1], [2**31], ["x\0"], ["\ud800"], [1.5], *([date, ID] for date in DATES)]


@pytest.mark.parametrize("operation", LISTS, ids=str)
def test_an_invented_cursor_is_not_a_server_error(operation, request, alice, admin):
    function = request.getfixturevalue(operation.function)
    own = request.getfixturevalue("conversation").post("/conversations", {}, as_=alice).json["id"]
    statuses = set()
    for values in INVENTED:
        cursor = urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")
        statuses.add(function.get(operation.url(own, cursor=cursor), as_=admin if operation.is_admins else alice).status)

    assert statuses <= {200, 404, 422}
    assert statuses & {404, 422}


def test_every_list_is_covered():
    assert len(LISTS) >= 12
