"""Connections to PostgreSQL, safe behind RDS Proxy and PgBouncer in transaction mode.

Each worker has one connection, uses no prepared statements (they pin RDS Proxy connections and break PgBouncer), and sets no
session-level variables.
"""

from typing import Any, Literal

from sqlalchemy import URL, Connection, Engine, create_engine, event

from parley.settings import DatabaseSettings

# Code outside `parley.db` imports `Connection` and `Engine` from here and never imports SQLAlchemy itself.
__all__ = ["Connection", "DatabaseRole", "Engine", "make_engine"]

type DatabaseRole = Literal["app", "background", "owner"]

CONNECT_TIMEOUT_S = 5
POOL_TIMEOUT_S = 3
RECYCLE_S = 600  # less than the 15 minutes for which an IAM token is valid


def make_engine(settings: DatabaseSettings, *, role: DatabaseRole = "app") -> Engine:
    """Return an engine for `role` with a pool of one connection, which is opened on first use."""
    url = URL.create(
        "postgresql+psycopg",
        username=f"parley_{role}",
        host=settings.database_host,
        port=settings.database_port,
        database=settings.database_name,
    )
    engine = create_engine(
        url,
        pool_size=1,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_recycle=RECYCLE_S,
        hide_parameters=True,  # an error's text is logged, and users' data must not be
        connect_args={
            "prepare_threshold": None,
            "connect_timeout": CONNECT_TIMEOUT_S,
            **_tls(settings),
        },
    )
    if settings.database_auth == "iam":
        event.listen(engine, "do_connect", _put_iam_token)
    return engine


def _tls(settings: DatabaseSettings) -> dict[str, str]:
    """Return the TLS arguments. The CA file is explicit: the default folder of psycopg's wheel does not exist on Lambda."""
    if settings.database_tls == "disable":
        return {"sslmode": "disable"}
    import certifi  # needed only with TLS

    return {"sslmode": settings.database_tls, "sslrootcert": settings.database_ca_file or certifi.where()}


def _put_iam_token(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> None:
    """Set a fresh IAM token as the password on every connect: a token stored in the engine would expire."""
    import boto3  # takes 0.2 s and is needed only for IAM

    parameters["password"] = boto3.client("rds").generate_db_auth_token(
        DBHostname=parameters["host"], Port=parameters["port"], DBUsername=parameters["user"]
    )
