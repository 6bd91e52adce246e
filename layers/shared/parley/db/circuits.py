"""Circuit breaker state of the models, shared by all workers; the breaker itself is in `parley.llm.circuit_breaker`."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from parley.db.tables import breakers
from parley.db.transactions import global_scope
from parley.llm.circuit_breaker import Circuit

# The outer join returns the time even if no model has a row yet.
_READ = text("SELECT clock_timestamp() AS now, b.* FROM (SELECT) AS one LEFT JOIN breakers AS b ON true")
_COLUMNS = [breakers.c[field.name] for field in fields(Circuit)]


class DatabaseCircuits:
    """Stores circuits in the database. Each call is one short transaction; times are on the database's clock."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self) -> tuple[Mapping[str, Circuit], datetime]:
        """Return all circuits by key, and the current time."""
        with self._scope() as connection:
            rows = connection.execute(_READ).all()
        return {row.provider: _circuit(dict(row._mapping)) for row in rows if row.provider}, rows[0].now

    def change(self, key: str, step: Callable[[Circuit, datetime], Circuit | None]) -> Circuit | None:
        """Apply `step` to a model's circuit while its row is locked, and return the result.

        `step` gets the circuit and the current time, and returns the new circuit, or None to leave it unchanged.
        """
        which = breakers.c.provider == key
        with self._scope() as connection:
            connection.execute(upsert(breakers).values(provider=key).on_conflict_do_nothing())
            row = connection.execute(select(func.clock_timestamp().label("now"), *_COLUMNS).where(which).with_for_update()).one()
            changed = step(_circuit(dict(row._mapping)), row.now)
            if changed is not None:
                connection.execute(update(breakers).where(which).values(asdict(changed)))
            return changed

    def _scope(self) -> AbstractContextManager[Connection]:
        return global_scope(self._engine)


def _circuit(row: Mapping[str, Any]) -> Circuit:
    return Circuit(**{field.name: row[field.name] for field in fields(Circuit)})
