"""What tests of turns ask the database beside the API."""

from typing import Any

import pytest
from sqlalchemy import text


@pytest.fixture
def row(engines):
    """Ask as the owner of the database, for one row."""

    def row(sql: str, **values: Any) -> Any:
        with engines["owner"].begin() as connection:
            return connection.execute(text(sql), values).one()

    return row


@pytest.fixture
def change(engines):
    """Change something behind the API's back."""

    def change(sql: str, **values: Any) -> None:
        with engines["owner"].begin() as connection:
            connection.execute(text(sql), values)

    return change


@pytest.fixture
def age(change):
    """Let a turn's heart have stopped half a minute ago, and more."""
    return lambda turn_id: change("UPDATE turns SET heartbeat_at = now() - interval '31 seconds' WHERE id = :id", id=turn_id)


@pytest.fixture
def log(engines):
    """A turn's log, as (number, name, data)."""

    def log(turn_id: Any) -> list[tuple[int, str, Any]]:
        with engines["owner"].connect() as connection:
            found = connection.execute(
                text("SELECT number, name, data FROM turn_events WHERE turn_id = :id ORDER BY number"), {"id": turn_id}
            )
            return [tuple(one) for one in found]

    return log
