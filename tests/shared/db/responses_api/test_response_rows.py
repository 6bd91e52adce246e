"""Stored responses beside those of another user with the same ids, without row level security: which are kept, and their history."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from parley.db.responses_api import responses
from parley.db.responses_api.responses import StillRunning, StoredResponse
from parley.db.transactions import user_scope
from parley.errors import NotFound
from parley.ids import new_id

# Each continues the one before it. The oldest number is 1.
_ADD = """
    INSERT INTO responses (user_id, id, previous_id, input, document)
    SELECT :user, {id}, CASE WHEN n > 1 THEN {previous} END, jsonb_build_array(jsonb_build_object('id', :name || n)),
           jsonb_build_object('output', jsonb_build_array(jsonb_build_object('id', 'answer to ' || :name || n)))
      FROM generate_series(1, :count) n
"""
_ID = "CAST('00000000-0000-7000-8000-' || lpad(CAST({} AS text), 12, '0') AS uuid)"
ADD_CHAIN = text(_ADD.format(id=_ID.format("n"), previous=_ID.format("n - 1")))
NUMBERS = text("SELECT id FROM responses WHERE user_id = :user ORDER BY id")


@pytest.fixture
def stored(world):
    """Return a function that stores a chain of responses of a person, and returns their ids, oldest first."""

    def store(name, count):
        user_id = getattr(world, name)
        world.connection.execute(ADD_CHAIN, {"user": user_id, "name": name, "count": count})
        return kept(world, name)

    return store


def kept(world, name):
    return list(world.connection.scalars(NUMBERS, {"user": getattr(world, name)}))


def age(world, response_id, change, name="ann"):
    statement = text(f"UPDATE responses SET {change} WHERE user_id = :user AND id = :id")
    world.connection.execute(statement, {"user": getattr(world, name), "id": response_id})


@pytest.mark.parametrize("add", [responses.store, responses.begin])
def test_a_user_keeps_two_thousand_responses(world, stored, add):
    others, before, new = stored("bea", 5), stored("ann", 2001), new_id()
    add(world.connection, StoredResponse(new, None, [], {}), user_id=world.ann)

    assert kept(world, "ann") == [*before[2:], new]
    assert kept(world, "bea") == others


def test_a_response_has_the_whole_history_of_its_user(world, stored):
    stored("bea", 4)
    ids = stored("ann", 3)
    items = [item["id"] for item in responses.history(world.connection, ids[1], user_id=world.ann)]

    assert items == ["ann1", "answer to ann1", "ann2", "answer to ann2"]


def test_a_response_without_its_whole_history_is_not_continued(world, stored):
    ids = stored("ann", 3)
    responses.remove(world.connection, ids[0], user_id=world.ann)
    for id in (ids[0], ids[2]):
        with pytest.raises(NotFound):
            responses.history(world.connection, id, user_id=world.ann)


@pytest.mark.parametrize("running", [0, 2])
def test_a_response_is_continued_when_all_of_its_history_has_ended(world, stored, running):
    ids = stored("ann", 3)
    age(world, ids[running], "heartbeat_at = now()")
    with pytest.raises(StillRunning):
        responses.history(world.connection, ids[2], user_id=world.ann)


def test_the_outputs_are_those_of_the_users_responses_asked_for(world, stored):
    stored("bea", 3)
    ids = stored("ann", 3)
    found = responses.outputs(world.connection, [*ids[:2], new_id()], user_id=world.ann)

    assert sorted(item["id"] for item in found) == ["answer to ann1", "answer to ann2"]


def test_only_a_running_response_logs_pieces_and_ends_once(world, stored):
    stored("bea", 1)
    (id,) = stored("ann", 1)
    ended = responses.record_pieces(world.connection, id, [["text", "x"]], number=0, user_id=world.ann)
    for name in ("ann", "bea"):
        age(world, id, "heartbeat_at = now()", name)
        responses.record_pieces(world.connection, id, [["text", name]], number=0, user_id=getattr(world, name))

    assert not ended
    assert responses.pieces_after(world.connection, id, 0, user_id=world.ann) == [["text", "ann"]]
    assert [responses.finish(world.connection, id, {}, user_id=world.ann) for _ in range(2)] == [True, False]
    assert responses.get(world.connection, id, user_id=world.bea).is_running


@pytest.mark.parametrize(("change", "state"), [("heartbeat_at = NULL", (False, False)), ("heartbeat_at = now()", (True, False))])
def test_a_response_runs_while_it_has_a_heartbeat(world, stored, change, state):
    (id,) = stored("ann", 1)
    age(world, id, change)
    found = responses.get(world.connection, id, user_id=world.ann)

    assert (found.is_running, found.is_stale) == state


@pytest.fixture
def lock(engines):
    """Return a function that locks a response in another connection, or raises soon."""

    def lock(id):
        with engines["owner"].connect() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '50ms'"))
            connection.execute(text("SELECT FROM responses WHERE id = :id FOR UPDATE"), {"id": id})

    return lock


def test_a_response_is_locked_only_to_change_it(engine, alice, lock):
    id = new_id()
    with user_scope(engine, alice.id) as connection:
        responses.store(connection, StoredResponse(id, None, [], {}), user_id=alice.id)
    with user_scope(engine, alice.id) as connection:
        responses.get(connection, id, user_id=alice.id)
        lock(id)
        responses.get(connection, id, user_id=alice.id, for_update=True)
        with pytest.raises(OperationalError, match="lock timeout"):
            lock(id)


def test_responses_are_deleted_after_thirty_days(world, stored):
    ids = stored("ann", 2)
    for id, days in zip(ids, (31, 29), strict=True):
        age(world, id, f"created_at = now() - interval '{days} days'")
    responses.sweep(world.connection)

    assert kept(world, "ann") == ids[1:]


def test_the_pieces_of_an_answer_are_deleted_after_25_hours(world, stored):
    (id,) = stored("ann", 1)
    age(world, id, "heartbeat_at = now()")
    for number, hours in enumerate((26, 24)):
        responses.record_pieces(world.connection, id, [["text", f"{hours} h"]], number=number, user_id=world.ann)
        at = text(f"UPDATE response_pieces SET at = now() - interval '{hours} hours' WHERE user_id = :user AND number = {number}")
        world.connection.execute(at, {"user": world.ann})
    responses.sweep_pieces(world.connection)

    assert responses.pieces_after(world.connection, id, 0, user_id=world.ann) == [["text", "24 h"]]
