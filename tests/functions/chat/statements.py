"""A recorder of the statements that an engine sends, with a hook before each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event


@contextmanager
def recorded_statements(engine: Engine, at: Callable[[int, Any], None] | None = None) -> Iterator[list[str]]:
    """Yield a growing list of the statements, without BEGIN and COMMIT.

    `at` is called before each statement with its number, from 1, and the connection.
    """
    found: list[str] = []

    def before(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)
        if at:
            at(len(found), connection)

    event.listen(engine, "before_cursor_execute", before)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", before)
