"""Connections to PostgreSQL, safe behind RDS Proxy and PgBouncer in transaction mode.

Each worker has one connection and sets no session-level variables. It uses prepared statements only if the deployment allows them,
because they pin RDS Proxy connections and break poolers that do not track them.
"""

import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

from sqlalchemy import URL, Connection, Engine, create_engine, event

from parley.aws.client import aws_client
from parley.aws.secrets import SecretUnreadable, read_secret
from parley.errors import Unavailable
from parley.observability import logger
from parley.settings import DatabaseSettings
from parley.snapshots import before_snapshot

# Code outside `parley.db` imports `Connection` and `Engine` from here and never imports SQLAlchemy itself.
__all__ = ["Connection", "DatabaseRole", "DatabaseWaking", "Engine", "database_password", "make_engine"]

type DatabaseRole = Literal["app", "background", "owner"]

CONNECT_TIMEOUT_S = 5
POOL_TIMEOUT_S = 3
RECYCLE_S = 600  # less than the 15 minutes for which an IAM token is valid
# A statement is prepared at its second execution on a connection. PostgreSQL plans it five more times, and then keeps one plan if that
# costs no more than planning again.
PREPARE_AFTER = 1
# The minimum between two reads of a secret after refused logins, so that an outage does not become a bill.
REREAD_S = 10.0


class DatabaseWaking(Unavailable):
    """The database pauses while it is not used, and did not accept a connection in time."""

    code = "database_waking"
    public_message = "The database was asleep and is waking up. Try again shortly."


def make_engine(settings: DatabaseSettings, *, role: DatabaseRole = "app", waits_for_wake: bool = False) -> Engine:
    """Return an engine for `role` with a pool of one connection, which is opened on first use.

    If the database may sleep (`database_wake_s`), a connection attempt that times out raises DatabaseWaking, unless
    `waits_for_wake`: then the attempt lasts as long as the database takes to wake. Functions with waiting clients do not wait.
    """
    url = URL.create(
        "postgresql+psycopg",
        username=f"parley_{role}",
        host=settings.database_host,
        port=settings.database_port,
        database=settings.database_name,
    )
    timeout_s = max(CONNECT_TIMEOUT_S, settings.database_wake_s) if waits_for_wake else CONNECT_TIMEOUT_S
    # Migrations send several statements at once, which cannot be prepared.
    is_prepared = settings.database_prepared_statements and role != "owner"
    engine = create_engine(
        url,
        pool_size=1,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_recycle=RECYCLE_S,
        hide_parameters=True,  # an error's text is logged, and users' data must not be
        connect_args={
            "prepare_threshold": PREPARE_AFTER if is_prepared else None,
            "connect_timeout": timeout_s,
            **_tls(settings),
        },
    )
    if settings.database_auth == "iam":
        event.listen(engine, "do_connect", _put_iam_token)
    # The next two return the connection, so no listener after them is called.
    if settings.database_auth == "secret":
        password = SecretPassword(settings.secret_of(role), wake_s=settings.database_wake_s)
        event.listen(engine, "do_connect", password.connect)
    elif settings.database_wake_s:
        event.listen(
            engine, "do_connect", lambda dialect, _, args, parameters: _connect(dialect, args, parameters, settings.database_wake_s)
        )
    before_snapshot(engine.dispose)
    return engine


class SecretPassword:
    """A password from Secrets Manager, read at the first connection and again when the database refuses it."""

    def __init__(self, secret: str, *, wake_s: int = 0, now_s: Callable[[], float] = time.monotonic) -> None:
        self._secret, self._wake_s, self._now_s = secret, wake_s, now_s
        self._password = ""
        self._read_at = float("-inf")

    def connect(self, dialect: Any, _record: object, args: Any, parameters: dict[str, Any]) -> Any:
        """Connect, for SQLAlchemy's event `do_connect`; once more if the refused password has been rotated in the meantime.

        Raises Unavailable if Secrets Manager does not respond, and SecretUnreadable.
        """
        if not self._password:
            self._read()
        try:
            return _connect(dialect, args, parameters | {"password": self._password}, self._wake_s)
        # The reason is only a text, which differs between PostgreSQL and poolers.
        except dialect.loaded_dbapi.OperationalError:
            if not self._is_rotated():
                raise
        return _connect(dialect, args, parameters | {"password": self._password}, self._wake_s)

    def _is_rotated(self) -> bool:
        """Read the secret again, unless it was read just now, and return whether the password is another one."""
        if self._now_s() - self._read_at < REREAD_S:
            return False
        refused = self._password
        self._read()
        return self._password != refused

    def _read(self) -> None:
        self._password = database_password(self._secret)
        self._read_at = self._now_s()
        logger.info("database_password_read")


def database_password(secret: str) -> str:
    """Return the password in a secret of the form that AWS uses for databases, `{"username": …, "password": …}`.

    Raises SecretUnreadable, and Unavailable if Secrets Manager does not respond.
    """
    try:
        return str(json.loads(read_secret(secret))["password"])
    except (ValueError, KeyError, TypeError) as exc:
        # Without the cause: its message repeats the secret.
        raise SecretUnreadable(f"{secret}: the secret is not a JSON object with a password ({type(exc).__name__})") from None


def _connect(dialect: Any, args: Any, parameters: dict[str, Any], wake_s: int) -> Any:
    """Connect. Raises DatabaseWaking if the attempt times out and the database may be asleep."""
    try:
        return dialect.connect(*args, **parameters)
    except dialect.loaded_dbapi.errors.ConnectionTimeout as exc:
        if not wake_s:
            raise
        raise DatabaseWaking("database", retry_after_s=max(1, wake_s - CONNECT_TIMEOUT_S)) from exc


def _tls(settings: DatabaseSettings) -> dict[str, str]:
    """Return the TLS arguments. The CA file is explicit: the default folder of psycopg's wheel does not exist on Lambda."""
    if settings.database_tls == "disable":
        return {"sslmode": "disable"}
    import certifi  # needed only with TLS

    return {"sslmode": settings.database_tls, "sslrootcert": settings.database_ca_file or certifi.where()}


def _put_iam_token(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> None:
    """Set a fresh IAM token as the password on every connect: a token stored in the engine would expire."""
    parameters["password"] = _rds().generate_db_auth_token(
        DBHostname=parameters["host"], Port=parameters["port"], DBUsername=parameters["user"]
    )


@cache
def _rds() -> Any:
    # The token is signed here: the client sends nothing.
    return aws_client("rds", read_timeout_s=3)
