"""Transactions on behalf of a principal, of a user, or of no user. Only this module commits.

The first statement of a transaction sets `parley.user_id`, which the row level security policies read. The setting is local
to the transaction (`set_config(…, true)`), because a session-level setting would leak to the next client of a transaction
pooler.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, TextClause, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError

from parley.auth.principal import Principal
from parley.errors import Unauthorized, Unavailable

# `set_config` must come first in the select list: the subqueries are subject to the policies that read the setting. In the
# other order every session would look ended.
_BY_SESSION = text(
    """
    SELECT set_config('parley.user_id', :user_id, true) AS user_id,
           EXISTS (SELECT FROM sessions s JOIN users u ON u.id = s.user_id
                    WHERE s.user_id = CAST(:user_id AS uuid) AND s.id = CAST(:id AS uuid)
                      AND s.ended_at IS NULL AND s.expires_at > now() AND u.disabled_at IS NULL) AS is_live
    """
)
_BY_API_KEY = text(
    """
    SELECT set_config('parley.user_id', :user_id, true) AS user_id,
           (SELECT coalesce(a.last_used_at < now() - interval '1 hour', true)
              FROM api_keys a JOIN users u ON u.id = a.user_id
             WHERE a.user_id = CAST(:user_id AS uuid) AND a.id = CAST(:id AS uuid)
               AND a.revoked_at IS NULL AND a.expires_at > now() AND u.disabled_at IS NULL) AS is_use_note_due
    """
)
_BY_RUN = text(
    """
    SELECT set_config('parley.user_id', :user_id, true) AS user_id,
           EXISTS (SELECT FROM schedule_runs r JOIN users u ON u.id = r.user_id
                    WHERE r.user_id = CAST(:user_id AS uuid) AND r.id = CAST(:id AS uuid)
                      AND r.status = 'running' AND u.disabled_at IS NULL) AS is_live
    """
)
_RECORD_KEY_USE = text("UPDATE api_keys SET last_used_at = now() WHERE user_id = :user_id AND id = :id")
_AS_USER = text("SELECT set_config('parley.user_id', :user_id, true) AS user_id")
_AS_GLOBAL = text("SELECT 1")
# A transaction-level lock, because PgBouncer or RDS Proxy would have to pin the connection for a session-level lock.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_LOCK_CREDENTIALS = text("SELECT user_id FROM credentials WHERE user_id = :user_id FOR SHARE")
_HOLD_CREDENTIALS = text("SELECT user_id FROM credentials WHERE user_id = :user_id FOR NO KEY UPDATE")

# A dead pooled connection fails fast. A slow failure means that the pooler had no free connection: do not retry.
_DEAD_CONNECTION_S = 1.0


@contextmanager
def principal_scope(engine: Engine, principal: Principal) -> Iterator[Connection]:
    """Open a transaction on behalf of the principal of a request.

    Raises Unauthorized if the session or the scheduled run has ended, the API key is revoked or the account is disabled, and
    Unavailable if PostgreSQL cannot be reached.
    """
    statement, parameters = _access_of(principal)
    with _transaction(engine, statement, parameters) as (connection, first):
        _require_access(principal, first)
        if principal.api_key_id is not None and first.is_use_note_due:
            # At most once an hour, so that a busy key does not write on every request.
            connection.execute(_RECORD_KEY_USE, parameters)
        yield connection


def lock_access(connection: Connection, principal: Principal, *, is_exclusive: bool = False) -> None:
    """Check the principal of `principal_scope` again, and let the account's credentials not change until the transaction ends.

    For rows that open the account, such as passkeys: a password reset or an identity provider changes the credentials, then removes such
    rows and ends sessions. It either waits and removes the new row too, or came first and is noticed here. With `is_exclusive`, the
    transaction also waits for others that hold this lock, such as logins, and they wait for it. Raises Unauthorized.
    """
    statement, parameters = _access_of(principal)
    if is_exclusive:
        hold_credentials(connection, principal.user_id)
    else:
        connection.execute(_LOCK_CREDENTIALS, {"user_id": principal.user_id})
    _require_access(principal, connection.execute(statement, parameters).one())


def hold_credentials(connection: Connection, user_id: UUID) -> None:
    """Wait for all transactions that lock the account's credentials, such as logins and consents, and make later ones wait for this one.

    The next statement sees the sessions that they have started.
    """
    connection.execute(_HOLD_CREDENTIALS, {"user_id": user_id})


def _access_of(principal: Principal) -> tuple[TextClause, dict[str, str]]:
    """Return the statement that sets the user and reads whether the principal's access is valid, and its parameters."""
    id = principal.session_id or principal.api_key_id or principal.run_id
    statement = _BY_SESSION if principal.session_id else _BY_API_KEY if principal.api_key_id else _BY_RUN
    return statement, {"user_id": str(principal.user_id), "id": str(id)}


def _require_access(principal: Principal, row: Row[Any]) -> None:
    by_key = principal.api_key_id is not None
    if not (row.is_use_note_due is not None if by_key else row.is_live):
        kind = "session" if principal.session_id else "API key" if by_key else "run"
        raise Unauthorized(f"{kind} {principal.session_id or principal.api_key_id or principal.run_id} has ended or was revoked")


@contextmanager
def user_scope(engine: Engine, user_id: UUID) -> Iterator[Connection]:
    """Open a transaction on behalf of a user without a session: for registration, login, refresh and background jobs."""
    with _transaction(engine, _AS_USER, {"user_id": str(user_id)}) as (connection, _):
        yield connection


def run_statement(engine: Engine, statement: TextClause, *, user_id: UUID, **parameters: Any) -> Row[Any]:
    """Run one statement in its own transaction and return its only row, or raise Unavailable.

    This saves the round trips of BEGIN and COMMIT, and of setting the user. Instead, the statement itself must select
    `set_config('parley.user_id', :user_id, true)` before it reads any protected table. It must be safe to repeat: if the connection
    breaks, it may run twice.
    """
    with _transaction(engine, statement, {"user_id": str(user_id)} | parameters, is_whole=True) as (_, row):
        return row


def run_global_statement(engine: Engine, statement: TextClause, **parameters: Any) -> Row[Any]:
    """Run one statement on behalf of no user, in its own transaction, and return its only row, or raise Unavailable.

    This saves the round trips of BEGIN, COMMIT and `global_scope`. The statement must be safe to repeat: if the connection breaks, it
    may run twice.
    """
    with _transaction(engine, statement, parameters, is_whole=True) as (_, row):
        return row


@contextmanager
def global_scope(engine: Engine) -> Iterator[Connection]:
    """Open a transaction on behalf of no user: the app role sees no tenant's rows in it."""
    with _transaction(engine, _AS_GLOBAL, {}) as (connection, _):
        yield connection


def lock_until_end(connection: Connection, name: str) -> None:
    """Wait until no other transaction holds the lock `name`, and hold it until this transaction ends.

    Use it for rules that a row lock cannot enforce, such as a limit on the number of rows. Read the rows after this call.
    """
    connection.execute(_LOCK, {"name": name})


@contextmanager
def _transaction(
    engine: Engine, statement: TextClause, parameters: dict[str, Any], *, is_whole: bool = False
) -> Iterator[tuple[Connection, Row[Any]]]:
    """Open a transaction with its first statement, or, with `is_whole`, run this statement as a transaction of its own."""
    try:
        connection, first = _connect(engine, statement, parameters, is_whole=is_whole)
        with closing(connection):  # rolls back unless committed
            yield connection, first
            connection.commit()
    except (OperationalError, InterfaceError, TimeoutError) as exc:
        raise Unavailable("database") from exc
    except DBAPIError as exc:
        if exc.connection_invalidated:
            raise Unavailable("database") from exc
        raise


def _connect(engine: Engine, statement: TextClause, parameters: dict[str, Any], *, is_whole: bool) -> tuple[Connection, Row[Any]]:
    """Run the first statement, and retry it once on a new connection if the pooled connection was dead.

    The retry is safe because nothing has been committed yet, or because a whole transaction may be repeated. It replaces a ping, which
    would cost a round trip every time.
    """
    started_s = time.monotonic()
    try:
        return _execute_first(engine, statement, parameters, is_whole=is_whole)
    except DBAPIError as exc:
        if not exc.connection_invalidated or time.monotonic() - started_s > _DEAD_CONNECTION_S:
            raise
    return _execute_first(engine, statement, parameters, is_whole=is_whole)


def _execute_first(engine: Engine, statement: TextClause, parameters: dict[str, Any], *, is_whole: bool) -> tuple[Connection, Row[Any]]:
    connection = engine.connect()
    try:
        if is_whole:
            connection.execution_options(isolation_level="AUTOCOMMIT")  # only until the connection returns to the pool
        return connection, connection.execute(statement, parameters).one()
    except BaseException:
        connection.close()
        raise
