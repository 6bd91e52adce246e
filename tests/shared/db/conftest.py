"""Fixtures of the tests of the database modules."""

from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine, insert, make_url, text

from parley.db.tables import users
from parley.db.transactions import user_scope
from parley.ids import new_id
from tests.shared.db.group_world import World
from tests.shared.db.row_states import PREPARATIONS, STATES
from tests.shared.db.talk import Talk
from tests.support.api_gateway import Person
from tests.support.tenant_fixture import TenantFixture


@pytest.fixture
def run(engine, alice):
    """Return a function that runs a step as alice, in its own transaction."""

    def run_step(step, *arguments, **options):
        with user_scope(engine, alice.id) as connection:
            return step(connection, *arguments, **options)

    return run_step


@pytest.fixture(scope="module")
def superuser(postgres, database):
    """An engine whose role bypasses every policy."""
    url = make_url(postgres.superuser_url).set(drivername="postgresql+psycopg", database="parley")
    engine = create_engine(url, connect_args={"prepare_threshold": None})
    yield engine
    engine.dispose()


@pytest.fixture
def unrestricted(superuser):
    """A transaction that no policy restricts, and that is rolled back."""
    with superuser.connect() as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def people(unrestricted):
    """The ids of two users in this transaction."""
    ids = [new_id(), new_id()]
    unrestricted.execute(insert(users), [{"id": id, "email": f"{id}@example.com"} for id in ids])
    return ids


@pytest.fixture
def mine(unrestricted, alice):
    """A conversation of alice, in a transaction that no policy restricts."""
    return Talk(unrestricted, alice.id, new_id())


@pytest.fixture
def theirs(unrestricted, bob, mine):
    """A conversation of bob with the same id."""
    return Talk(unrestricted, bob.id, mine.id)


@pytest.fixture(scope="module")
def owner(auth, engines, superuser):
    """A user with a row in every table."""
    tenant = TenantFixture(Person.registered(auth))
    tenant.insert_rows(engines["owner"])
    with superuser.begin() as connection:
        for statement in PREPARATIONS:
            connection.execute(text(statement), {"owner": tenant.user_id})
    yield tenant
    with superuser.begin() as connection:  # a sweep would find the running turn and the job
        connection.execute(text("DELETE FROM users WHERE id = :owner"), {"owner": tenant.user_id})


@pytest.fixture
def transaction(superuser, owner):
    """Return a context manager that opens a transaction of a user, in the state that a function needs, and rolls it back."""

    @contextmanager
    def transaction(name, user_id):
        with superuser.connect() as connection:
            connection.execute(text("SELECT set_config('parley.user_id', :id, true)"), {"id": str(user_id)})
            if name in STATES:
                connection.execute(text(STATES[name]), {"owner": owner.user_id})
            yield connection
            connection.rollback()

    return transaction


@pytest.fixture(scope="module")
def first_world(superuser):
    with superuser.connect() as connection:
        yield World(connection)
        connection.rollback()


@pytest.fixture
def world(first_world):
    """The people and groups of `group_world`, as they are at the beginning."""
    savepoint = first_world.connection.begin_nested()
    yield first_world
    savepoint.rollback()
