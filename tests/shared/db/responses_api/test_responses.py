"""Stored responses: how many a user keeps."""

import pytest

from parley.db.responses_api import responses
from parley.db.responses_api.responses import StoredResponse
from parley.errors import NotFound
from parley.ids import new_id


@pytest.mark.parametrize("add", [responses.store, responses.begin])
def test_a_user_keeps_the_newest_responses(run, alice, bob, monkeypatch, add):
    monkeypatch.setattr(responses, "MAX_STORED", 2)
    ids = [new_id() for _ in range(4)]
    for id in ids:
        run(add, StoredResponse(id, None, [], {}), user_id=alice.id)

    assert [run(responses.get, id, user_id=alice.id).id for id in ids[2:]] == ids[2:]
    for id in ids[:2]:
        with pytest.raises(NotFound):
            run(responses.get, id, user_id=alice.id)
