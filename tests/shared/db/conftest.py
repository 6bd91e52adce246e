"""Fixtures of the tests of the database modules."""

import pytest

from parley.db.transactions import user_scope


@pytest.fixture
def run(engine, alice):
    """Return a function that runs a step as alice, in its own transaction."""

    def run_step(step, *arguments, **options):
        with user_scope(engine, alice.id) as connection:
            return step(connection, *arguments, **options)

    return run_step
