"""When a web hook has failed too often in a row."""

from functools import partial

import pytest

from parley.db.webhooks import deliveries, webhooks
from parley.errors import NotFound
from parley.ids import new_id


@pytest.fixture
def webhook_id(run, alice):
    return run(webhooks.add, new_id(), user_id=alice.id, url="https://example.com/", events=["budget.warning"], secret=b"secret").id


@pytest.fixture
def fail(run, webhook_id, alice):
    """Return a function that counts a failure of the web hook, of which it may have two."""
    return lambda: run(webhooks.count_failure, webhook_id, user_id=alice.id, most=2)


def test_the_last_failure_in_a_row_disables_a_web_hook_once(run, webhook_id, fail, alice):
    assert [fail(), fail(), fail()] == [False, True, False]
    with pytest.raises(NotFound):
        run(webhooks.target, webhook_id, user_id=alice.id)


def test_a_success_ends_the_row(run, webhook_id, fail, alice):
    first = fail()
    run(webhooks.reset_failures, webhook_id, user_id=alice.id)

    assert [first, fail(), fail()] == [False, False, True]


def test_a_deleted_web_hook_does_not_fail(run, webhook_id, fail, alice):
    run(webhooks.remove, webhook_id, user_id=alice.id)

    assert not fail()


def test_the_deliveries_of_a_web_hook_are_listed_newest_first(run, webhook_id, alice):
    noted = [run(deliveries.note, "budget.warning", user_id=alice.id, key=f"{number}", data={})[0] for number in range(3)]
    page = partial(run, deliveries.page, webhook_id, user_id=alice.id, limit=2)
    first = [delivery.id for delivery in page(after=None)]

    assert first == noted[:0:-1]
    assert [delivery.id for delivery in page(after=first[-1])] == noted[:1]
