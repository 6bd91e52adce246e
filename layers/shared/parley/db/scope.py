"""Transactions, each opened as somebody.

The only place that commits. Everyone's first statement puts the user's id where the row level security policies read
it, for this transaction only (`set_config(…, true)`): a session-level setting would leak to the next client of a
transaction pooler.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, TextClause, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from parley.auth.principal import Principal
from parley.errors import Unauthorized, Unavailable

# `set_config` stands first: the subquery reads `sessions` under the policy that needs it. Swapped, every session looks ended.
_AS_PRINCIPAL = text(
    """
    SELECT set_config('parley.user_id', :user_id, true) AS user_id,
           EXISTS (SELECT FROM sessions
                    WHERE user_id = CAST(:user_id AS uuid) AND id = CAST(:session_id AS uuid)
                      AND ended_at IS NULL AND expires_at > now()) AS is_live
    """
)
_AS_USER = text("SELECT set_config('parley.user_id', :user_id, true) AS user_id")
_AS_NOBODY = text("SELECT 1")


@contextmanager
def principal_scope(engine: Engine, principal: Principal) -> Iterator[Connection]:
    """Open a transaction as a signed-in user.

    Raises Unauthorized if the session has ended, Unavailable if PostgreSQL does not answer.
    """
    parameters = {"user_id": str(principal.user_id), "session_id": str(principal.session_id)}
    with _transaction(engine, _AS_PRINCIPAL, parameters) as (connection, first):
        if not first.is_live:
            raise Unauthorized(f"session {principal.session_id} has ended")
        yield connection


@contextmanager
def user_scope(engine: Engine, user_id: UUID) -> Iterator[Connection]:
    """Open a transaction as a user who is not signed in yet: registration, login, refresh, and work on their behalf."""
    with _transaction(engine, _AS_USER, {"user_id": str(user_id)}) as (connection, _):
        yield connection


@contextmanager
def open_scope(engine: Engine) -> Iterator[Connection]:
    """Open a transaction as nobody: an app role sees no tenant's rows in it."""
    with _transaction(engine, _AS_NOBODY, {}) as (connection, _):
        yield connection


@contextmanager
def _transaction(engine: Engine, statement: TextClause, parameters: dict[str, str]) -> Iterator[tuple[Connection, Row[Any]]]:
    try:
        connection, first = _connect(engine, statement, parameters)
        with closing(connection):  # rolls back what was not committed
            yield connection, first
            connection.commit()
    except (OperationalError, InterfaceError) as exc:
        raise Unavailable("database") from exc
    except DBAPIError as exc:
        if exc.connection_invalidated:
            raise Unavailable("database") from exc
        raise


def _connect(engine: Engine, statement: TextClause, parameters: dict[str, str]) -> tuple[Connection, Row[Any]]:
    """Run the first statement; once more on a new connection if the pooled one turns out to be dead.

    Nothing has been written yet, so repeating is safe, and it costs no ping when the connection is well.
    """
    try:
        return _first(engine, statement, parameters)
    except DBAPIError as exc:
        if not exc.connection_invalidated:
            raise
    return _first(engine, statement, parameters)


def _first(engine: Engine, statement: TextClause, parameters: dict[str, str]) -> tuple[Connection, Row[Any]]:
    connection = engine.connect()
    try:
        return connection, connection.execute(statement, parameters).one()
    except BaseException:
        connection.close()
        raise
