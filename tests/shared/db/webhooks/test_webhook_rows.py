"""Web hooks and deliveries beside those of others with the same ids: which are meant, sent and counted."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from parley.clock import utc_now
from parley.db.tables import webhook_deliveries
from parley.db.tables import webhooks as webhooks_table
from parley.db.webhooks import deliveries, webhooks
from parley.errors import NotFound
from parley.ids import new_id

EVENT = "schedule.ended"
HOOK = {"url": "https://example.com/", "events": [EVENT], "secret": b"secret"}


@pytest.fixture
def hook_id(world):
    """The id of a web hook of ann's and of one of bea's."""
    id = new_id()
    for user_id in (world.ann, world.bea):
        webhooks.add(world.connection, id, user_id=user_id, **HOOK)
    return id


@pytest.fixture
def deliver(world, hook_id):
    """Return a function that stores a delivery of ann's and one of bea's with the same id, and returns this."""

    def add(hook_id=hook_id, **values):
        id = new_id()
        for user_id in (world.ann, world.bea):
            fixed = {"user_id": user_id, "id": id, "webhook_id": hook_id, "type": EVENT, "key": str(id), "data": {}}
            world.insert(webhook_deliveries, [fixed | values])
        return id

    return add


@pytest.fixture
def state(world):
    """Return a function that returns the status and the attempts of a delivery of a person."""

    def read(name, id):
        columns = webhook_deliveries.c
        found = select(columns.status, columns.attempts).where(columns.user_id == getattr(world, name), columns.id == id)
        return tuple(world.connection.execute(found).one())

    return read


def test_an_event_is_noted_once_for_each_enabled_web_hook_of_the_user_that_wants_it(world, hook_id):
    for change in ({"events": ["budget.warning"]}, {"is_enabled": False}):
        id = webhooks.add(world.connection, new_id(), user_id=world.ann, **HOOK).id
        webhooks.change(world.connection, id, user_id=world.ann, **{"events": None, "is_enabled": None} | change)
    noted = [deliveries.note(world.connection, EVENT, user_id=world.ann, key="one", data={}) for _ in range(2)]
    hooks = world.connection.execute(text("SELECT user_id, webhook_id FROM webhook_deliveries WHERE key LIKE '% one'")).all()

    assert ([len(ids) for ids in noted], list(map(tuple, hooks))) == ([1, 0], [(world.ann, hook_id)])


@pytest.mark.parametrize(("seconds", "status", "is_claimed"), [(0, "pending", True), (5, "pending", False), (0, "failed", False)])
def test_one_delivery_is_claimed_when_it_is_due(world, deliver, state, seconds, status, is_claimed):
    id = deliver(due_at=func.now() + timedelta(seconds=seconds), status=status)
    claimed = deliveries.claim(world.connection, id, user_id=world.ann)

    assert (claimed is not None) is is_claimed
    assert (state("ann", id), state("bea", id)) == ((status, int(is_claimed)), (status, 0))


def test_the_result_of_an_attempt_is_of_one_delivery(world, deliver, state):
    id, other = deliver(), deliver()
    result = {"status": "delivered", "due_at": utc_now(), "response_status": 200, "error": None}
    deliveries.end_attempt(world.connection, id, user_id=world.ann, **result)

    assert [state("ann", id)[0], state("ann", other)[0], state("bea", id)[0]] == ["delivered", "pending", "pending"]


def test_a_delivery_is_lost_a_minute_after_it_was_due(world, deliver):
    late = func.now() - timedelta(days=900)
    ids = [deliver(due_at=late), deliver(due_at=func.now() - timedelta(seconds=59)), deliver(due_at=late, status="failed")]
    kept = {"due_at": func.now() + timedelta(days=1)}
    world.connection.execute(webhook_deliveries.update().where(webhook_deliveries.c.user_id == world.bea).values(kept))
    taken = deliveries.take_lost(world.connection, limit=9)
    due = select(webhook_deliveries.c.id).where(webhook_deliveries.c.user_id == world.bea, webhook_deliveries.c.due_at > func.now())

    assert [id for user_id, id in taken if user_id in (world.ann, world.bea)] == ids[:1]
    assert set(world.connection.scalars(due)) == set(ids)


def test_the_log_is_of_one_web_hook(world, deliver):
    another = new_id()
    for user_id in (world.ann, world.bea):
        webhooks.add(world.connection, another, user_id=user_id, **HOOK)
    deliver()
    id = deliver(another)

    assert [each.id for each in deliveries.page(world.connection, another, user_id=world.ann, limit=9, after=None)] == [id]


def failures(world, id, name="ann"):
    return webhooks.get(world.connection, id, user_id=getattr(world, name)).failures


def test_each_failure_of_one_web_hook_counts_until_a_success(world, hook_id):
    counted = []
    for _ in range(2):
        webhooks.count_failure(world.connection, hook_id, user_id=world.ann, most=9)
        counted.append(failures(world, hook_id))
    webhooks.reset_failures(world.connection, hook_id, user_id=world.ann)

    assert (counted, failures(world, hook_id), failures(world, hook_id, "bea")) == ([1, 2], 0, 0)


def test_a_web_hook_that_is_enabled_again_has_not_failed(world, hook_id):
    webhooks.count_failure(world.connection, hook_id, user_id=world.ann, most=1)
    disabled = webhooks.get(world.connection, hook_id, user_id=world.ann)
    enabled = webhooks.change(world.connection, hook_id, user_id=world.ann, events=None, is_enabled=True)

    assert (disabled.disabled_at is None, enabled.disabled_at, enabled.failures, enabled.events) == (False, None, 0, [EVENT])


def test_a_disabled_web_hook_has_no_target_and_counts_no_failure(world, hook_id):
    webhooks.change(world.connection, hook_id, user_id=world.ann, events=None, is_enabled=False)
    with pytest.raises(NotFound):
        webhooks.target(world.connection, hook_id, user_id=world.ann)

    assert not webhooks.count_failure(world.connection, hook_id, user_id=world.ann, most=1)
    assert (failures(world, hook_id), webhooks.target(world.connection, hook_id, user_id=world.bea).secrets) == (0, [b"secret"])


def test_the_web_hooks_of_one_user_are_counted_and_removed(world, hook_id):
    webhooks.add(world.connection, new_id(), user_id=world.ann, **HOOK)
    webhooks.remove(world.connection, hook_id, user_id=world.ann)
    with pytest.raises(NotFound):
        webhooks.remove(world.connection, hook_id, user_id=world.ann)

    assert [webhooks.count(world.connection, user_id=id) for id in (world.ann, world.bea, world.cat)] == [1, 1, 0]


@pytest.mark.parametrize(("hours", "secrets"), [(23, [b"new", b"secret"]), (25, [b"new"])])
def test_a_replaced_secret_signs_for_a_day(world, hook_id, hours, secrets):
    webhooks.rotate_secret(world.connection, hook_id, user_id=world.ann, secret=b"new")
    world.connection.execute(webhooks_table.update().values(rotated_at=func.now() - timedelta(hours=hours)))

    assert webhooks.target(world.connection, hook_id, user_id=world.ann).secrets == secrets
    assert webhooks.target(world.connection, hook_id, user_id=world.bea).secrets == [b"secret"]
