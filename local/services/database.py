"""Create the product's database and its roles as the superuser, before the migrations run."""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from local.server import HOST
from local.services.postgres import SUPERUSER
from local.services.supervisor import ServiceFailed

DATABASE_NAME = "parley"
OWNER_ROLE = "parley_owner"

ROLES = {
    OWNER_ROLE: "LOGIN NOSUPERUSER CREATEROLE NOBYPASSRLS",
    "parley_app": "LOGIN NOSUPERUSER NOCREATEROLE NOBYPASSRLS",
    "parley_background": "LOGIN NOSUPERUSER NOCREATEROLE NOBYPASSRLS",
}

EXTENSIONS = ("vector",)


def bootstrap(port: int, passwords: Mapping[str, str], *, host: str = HOST, superuser: str = SUPERUSER) -> None:
    """Create the roles, the database and the extensions if missing, and set every role's password.

    `passwords` contains the superuser's. Raises `ServiceFailed`.
    """
    login = {"host": host, "port": port, "user": superuser, "password": passwords[superuser]}
    try:
        _bootstrap(login, passwords)
    except psycopg.Error as error:
        raise ServiceFailed(f"cannot set up the database: {error}") from error


def _bootstrap(login: Mapping[str, Any], passwords: Mapping[str, str]) -> None:
    with psycopg.connect(**login, dbname="postgres", autocommit=True) as connection:
        for role, abilities in ROLES.items():
            _ensure_role(connection, role, abilities, passwords[role])
        if not _exists(connection, "SELECT 1 FROM pg_database WHERE datname = %s", DATABASE_NAME):
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(
                    sql.Identifier(DATABASE_NAME), sql.Identifier(OWNER_ROLE)
                )
            )
    with psycopg.connect(**login, dbname=DATABASE_NAME, autocommit=True) as connection:
        for extension in EXTENSIONS:
            connection.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(extension)))


def pgpass(ports: list[int], passwords: Mapping[str, str], *, host: str = HOST) -> str:
    """Return the content of a libpq password file with every role on every port of `host`."""
    lines = [f"{host}:{port}:*:{role}:{passwords[role]}" for port in ports for role in ROLES]
    return "\n".join(lines) + "\n"


def _ensure_role(connection: psycopg.Connection, role: str, abilities: str, password: str) -> None:
    known = _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", role)
    verb = "ALTER" if known else "CREATE"
    statement = sql.SQL("{} ROLE {} {} PASSWORD {}").format(
        sql.SQL(verb),
        sql.Identifier(role),
        sql.SQL(abilities),
        sql.Literal(password),
    )
    connection.execute(statement)


def _exists(connection: psycopg.Connection, query: str, name: str) -> bool:
    return connection.execute(query, (name,)).fetchone() is not None
