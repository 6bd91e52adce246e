"""Prepared statements, for deployments whose functions own their connections: `DatabasePreparedStatements=yes`."""

import pytest
from sqlalchemy import text

from parley.db.engine import make_engine
from parley.db.transactions import global_scope, user_scope
from parley.settings import DatabaseSettings
from tests.shared.db.tenant_visibility import visible_rows

PREPARED = text("SELECT statement, generic_plans > 0 AS is_planned_once FROM pg_prepared_statements")
# PostgreSQL plans a prepared statement five times before it may keep a plan.
ENOUGH = 12


@pytest.fixture
def preparing(database):
    settings = DatabaseSettings.model_validate(database.model_dump() | {"database_prepared_statements": True})
    engines = {role: make_engine(settings, role=role) for role in ("app", "background", "owner")}
    yield engines
    for engine in engines.values():
        engine.dispose()


def prepared(engine):
    with global_scope(engine) as connection:
        return {row.statement: row.is_planned_once for row in connection.execute(PREPARED)}


@pytest.mark.parametrize("role", ["app", "background"])
def test_a_repeated_statement_is_prepared_and_planned_once(preparing, alice, role):
    for _ in range(ENOUGH):
        with user_scope(preparing[role], alice.id):
            pass

    assert [is_planned_once for sql, is_planned_once in prepared(preparing[role]).items() if "parley.user_id" in sql] == [True]


@pytest.mark.parametrize(("runs", "prepared_statements"), [(1, 0), (2, 1)])
def test_a_statement_is_prepared_when_it_runs_again(preparing, alice, runs, prepared_statements):
    for _ in range(runs):
        with user_scope(preparing["app"], alice.id):
            pass

    assert len(prepared(preparing["app"])) == prepared_statements


def test_only_a_deployment_that_allows_it_prepares_statements(engine, preparing, alice):
    for choice in (engine, preparing["owner"]):
        for _ in range(ENOUGH):
            with user_scope(choice, alice.id):
                pass

        assert prepared(choice) == {}


def test_a_kept_plan_shows_each_user_their_own_rows_only(preparing, alice, bob):
    seen = [visible_rows(preparing["app"], user_id) for _ in range(ENOUGH) for user_id in (alice.id, None, bob.id)]

    assert seen == ["own", "none", "own"] * ENOUGH
    assert any(is_planned_once for sql, is_planned_once in prepared(preparing["app"]).items() if "FROM sessions" in sql)


def test_a_refused_transaction_leaves_statements_that_can_be_prepared_again(preparing, alice):
    for _ in range(ENOUGH):
        with user_scope(preparing["app"], alice.id) as connection:
            connection.execute(text("SELECT count(*) FROM users"))
            connection.rollback()

        assert visible_rows(preparing["app"], alice.id) == "own"
