"""Connections to PostgreSQL, safe behind RDS Proxy and PgBouncer in transaction mode.

One connection for one worker, no prepared statements (they pin RDS Proxy and break PgBouncer), no session SET.
"""

from typing import Any, Literal

from sqlalchemy import URL, Engine, create_engine, event

from parley.settings import DatabaseSettings

type DatabaseRole = Literal["app", "background", "owner"]

CONNECT_TIMEOUT_S = 5
POOL_TIMEOUT_S = 3
RECYCLE_S = 600  # an IAM token lives 15 minutes


def make_engine(settings: DatabaseSettings, *, role: DatabaseRole = "app") -> Engine:
    """Return an engine with a pool of one connection as `role`; nothing connects yet."""
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
        hide_parameters=True,  # an error's text goes to the log; what users wrote must not
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
    """Name the certificates: those that psycopg's wheel calls the system's are in a folder that Lambda does not have."""
    if settings.database_tls == "disable":
        return {"sslmode": "disable"}
    import certifi  # only where there is TLS

    return {"sslmode": settings.database_tls, "sslrootcert": settings.database_ca_file or certifi.where()}


def _put_iam_token(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> None:
    """Mint the password as late as can be: a token that sits in a pool's settings would expire there."""
    import boto3  # 0.2 s that only IAM needs

    parameters["password"] = boto3.client("rds").generate_db_auth_token(
        DBHostname=parameters["host"], Port=parameters["port"], DBUsername=parameters["user"]
    )
