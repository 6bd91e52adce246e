"""Fixtures for tests of turns that read and change the database directly."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from parley.db.circuits import DatabaseCircuits
from parley.llm.circuit_breaker import CircuitBreaker
from tests.support.api_gateway import PASSWORD


@pytest.fixture
def row(engines):
    """Return a function that runs a query as the database's owner and returns its only row."""

    def row(sql: str, **values: Any) -> Any:
        with engines["owner"].begin() as connection:
            return connection.execute(text(sql), values).one()

    return row


@pytest.fixture
def change(engines):
    """Return a function that runs a statement as the database's owner."""

    def change(sql: str, **values: Any) -> None:
        with engines["owner"].begin() as connection:
            connection.execute(text(sql), values)

    return change


@pytest.fixture(autouse=True)
def _circuits_are_closed(request):
    """Close the circuits of the chat function, which earlier tests may have opened by failed calls of the same model."""
    if "chat" in request.fixturenames:
        request.getfixturevalue("chat")
        with request.getfixturevalue("engines")["owner"].begin() as connection:
            connection.execute(text("DELETE FROM breakers"))
        from functions.chat import app

        app.router.breaker = CircuitBreaker(DatabaseCircuits(app.engine))


@pytest.fixture
def age(change):
    """Return a function that makes a running turn stale, with a heartbeat of 31 seconds ago."""
    return lambda turn_id: change("UPDATE turns SET heartbeat_at = now() - interval '31 seconds' WHERE id = :id", id=turn_id)


@pytest.fixture
def log(engines):
    """Return a function that reads a turn's log as (number, name, data)."""

    def log(turn_id: Any) -> list[tuple[int, str, Any]]:
        with engines["owner"].connect() as connection:
            found = connection.execute(
                text("SELECT number, name, data FROM turn_events WHERE turn_id = :id ORDER BY number"), {"id": turn_id}
            )
            return [tuple(one) for one in found]

    return log


@pytest.fixture
def key_with(auth, alice):
    """Return a function that creates a key with these scopes, and returns its holder."""

    def key_with(*scopes):
        created = auth.post("/auth/api-keys", {"name": "ci", "password": PASSWORD, "scopes": list(scopes)}, as_=alice).json
        claims = {"sub": str(alice.id), "api_key_id": created["id"], "scope": " ".join(scopes), "exp": alice.claims["exp"]}
        return replace(alice, claims=claims)

    return key_with
