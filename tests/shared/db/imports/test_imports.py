"""A user's imports beside those of others, without row level security: which is open, and how often it has failed."""

from datetime import timedelta

import pytest
from sqlalchemy import func

from parley.db.imports import imports
from parley.db.tables import imports as imports_table
from parley.errors import NotFound
from parley.ids import new_id

FILE = {"filename": "export.zip", "bytes": 1}


@pytest.fixture
def insert(world):
    """Return a function that stores an import of a person, and returns its id."""

    def insert(name, status, **values):
        world.insert(imports_table, [FILE | {"user_id": getattr(world, name), "id": (id := new_id()), "status": status, **values}])
        return id

    return insert


@pytest.fixture
def add(world):
    """Return a function that adds an import of ann's."""
    return lambda: imports.add(world.connection, new_id(), user_id=world.ann, reads_facts=False, **FILE)


def state(world, id, name="ann"):
    found = imports.get(world.connection, id, user_id=getattr(world, name))
    return found.status, found.failures


def test_a_new_import_replaces_the_users_own_that_has_not_begun(world, insert, add):
    own, other = insert("ann", "queued"), insert("bea", "queued")

    assert add()
    assert (state(world, own), state(world, other, "bea")) == (("failed", 0), ("queued", 0))


@pytest.mark.parametrize(
    ("name", "status", "is_added"), [("ann", "processing", False), ("ann", "ready", True), ("bea", "processing", True)]
)
def test_only_an_import_of_the_user_that_runs_prevents_another(insert, add, name, status, is_added):
    insert(name, status)

    assert (add() is not None) is is_added


@pytest.mark.parametrize("status", ["ready", "failed"])
def test_an_import_that_has_ended_is_neither_run_nor_changed(world, insert, status):
    id = insert("ann", status)
    mine = {"user_id": world.ann}

    assert imports.acquire_lease(world.connection, id, lease_s=60, **mine) is None
    for change in (imports.requeue, imports.finish):
        with pytest.raises(NotFound):
            change(world.connection, id, **mine)


def test_progress_and_a_file_that_is_not_there_yet_end_a_row_of_failures(world, insert):
    ids = insert("ann", "processing", failures=2), insert("bea", "processing", failures=2)
    imports.report_progress(world.connection, ids[0], user_id=world.ann, lease_s=60, progress=0.5)
    imports.requeue(world.connection, ids[1], user_id=world.bea)

    assert (state(world, ids[0]), state(world, ids[1], "bea")) == (("processing", 0), ("queued", 0))


def test_the_imports_that_have_waited_longest_are_started_first(world, insert):
    ids = [
        insert(name, "queued", created_at=func.now() - timedelta(days=days)) for name, days in (("ann", 900), ("bea", 902), ("cat", 901))
    ]
    found = imports.find_stalled(world.connection, limit=2, older_than_s=60)

    assert found == [(world.bea, ids[1]), (world.cat, ids[2])]
