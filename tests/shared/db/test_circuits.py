"""The stored circuits of models, which all workers share."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from parley.db.circuits import DatabaseCircuits
from parley.llm.circuit_breaker import Circuit


@pytest.fixture
def circuits(engine, engines):
    """The circuits of two models that have never failed."""
    circuits = DatabaseCircuits(engine)
    for model in ("first", "second"):
        circuits.change(model, lambda circuit, now: None)
    yield circuits
    with engines["owner"].begin() as connection:
        connection.execute(text("DELETE FROM breakers WHERE provider IN ('first', 'second')"))


def test_a_change_of_one_models_circuit_is_read_by_all_and_leaves_the_others_alone(circuits):
    changed = circuits.change("first", lambda circuit, now: replace(circuit, state="open", failures=5, opened_at=now))
    found, now = circuits.read()

    assert (found["first"], found["second"]) == (changed, Circuit())
    assert (changed.state, changed.failures, changed.opened_at <= now) == ("open", 5, True)


def test_a_step_that_changes_nothing_leaves_the_circuit_as_it_was(circuits):
    circuits.change("first", lambda circuit, now: replace(circuit, calls=3))

    assert circuits.change("first", lambda circuit, now: None) is None
    assert circuits.read()[0]["first"] == Circuit(calls=3)
