"""The database of a backup: dump, restore, and the description that proves that both hold the same."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from local.services.database import DATABASE_NAME, OWNER_ROLE
from local.services.postgres import SUPERUSER, pg_program

_DRAFT, _PREVIOUS = f"{DATABASE_NAME}_restored", f"{DATABASE_NAME}_replaced"

_TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname"
# The sum does not depend on the order of the rows.
_ROWS = "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text FROM {} t"
_ROLES = """
SELECT rolname, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname LIKE 'parley\\_%' ORDER BY 1
"""
_MEMBERS = """
SELECT DISTINCT roleid::regrole::text, member::regrole::text, inherit_option, set_option FROM pg_auth_members
 WHERE roleid::regrole::text LIKE 'parley\\_%' AND set_option ORDER BY 1, 2
"""
# The rules for who may read and write which row.
_PROTECTION = {
    "tables": """
        SELECT relname, relowner::regrole::text, relrowsecurity, relforcerowsecurity FROM pg_class
         WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1
    """,
    "policies": "SELECT tablename, policyname, permissive, roles::text, cmd, qual, with_check FROM pg_policies ORDER BY 1, 2",
    "table rights": """
        SELECT c.relname, a.grantee::regrole::text, a.privilege_type FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
         WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1, 2, 3
    """,
    "column rights": """
        SELECT c.relname, t.attname, a.grantee::regrole::text, a.privilege_type FROM pg_class c
          JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN LATERAL aclexplode(t.attacl) a
         WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1, 2, 3, 4
    """,
    "functions": """
        SELECT p.oid::regprocedure::text, p.proowner::regrole::text, p.prosecdef, p.proconfig::text,
               CASE WHEN a.grantee <> 0 THEN a.grantee::regrole::text END, a.privilege_type
          FROM pg_proc p LEFT JOIN LATERAL aclexplode(p.proacl) a ON a.grantee = 0 OR a.grantee::regrole::text LIKE 'parley\\_%'
         WHERE p.proname LIKE 'parley\\_%'
         ORDER BY 1, 5 NULLS FIRST, 6
    """,
    "triggers": "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
}


class DatabaseCopyFailed(Exception):
    """PostgreSQL's program failed, or the restored database is not the one that was dumped."""


@dataclass(frozen=True)
class DatabaseAddress:
    """The stack's PostgreSQL server and its superuser's password."""

    port: int
    password: str

    @contextmanager
    def connect(self, database: str = DATABASE_NAME) -> Iterator[psycopg.Connection[Any]]:
        """Connect as the superuser, who sees every row."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=SUPERUSER, password=self.password, dbname=database, autocommit=True
        ) as connection:
            yield connection

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs. Raises DatabaseCopyFailed with its message."""
        command = [str(pg_program(program)), "--host=127.0.0.1", f"--port={self.port}", f"--username={SUPERUSER}", *arguments]
        done = subprocess.run(command, env={"PGPASSWORD": self.password}, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DatabaseCopyFailed(f"{program} failed: {done.stderr.strip()[:1000]}")


def describe(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    """Return the revision, the number of rows and a checksum for each table, the roles, and the protection of rows."""
    tables = {name: _table(connection, name) for (name,) in connection.execute(_TABLES)}
    revision = connection.execute("SELECT version_num FROM alembic_version").fetchone() if "alembic_version" in tables else None
    found = {
        "revision": revision[0] if revision else None,
        "tables": tables,
        "roles": connection.execute(_ROLES).fetchall(),
        "members": connection.execute(_MEMBERS).fetchall(),
        "protection": {name: connection.execute(query).fetchall() for name, query in _PROTECTION.items()},
    }
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]  # as the manifest stores it: with lists, not tuples


def _table(connection: psycopg.Connection[Any], name: str) -> dict[str, Any]:
    row = connection.execute(sql.SQL(_ROWS).format(sql.Identifier(name))).fetchone()
    assert row is not None  # noqa: S101 (an aggregate returns one row)
    return {"rows": row[0], "checksum": row[1]}


def dump(address: DatabaseAddress, path: Path) -> dict[str, Any]:
    """Write the database to `path` and return its description. Both see the same moment."""
    with address.connect() as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot = connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert snapshot is not None  # noqa: S101
        address.run("pg_dump", "--format=custom", f"--snapshot={snapshot[0]}", f"--file={path}", DATABASE_NAME)
        return describe(connection)


def is_empty(address: DatabaseAddress) -> bool:
    """Return whether nobody has an account."""
    with address.connect() as connection:
        has_users = connection.execute("SELECT to_regclass('public.users') IS NOT NULL").fetchone() == (True,)
        return not has_users or connection.execute("SELECT EXISTS (SELECT FROM users)").fetchone() == (False,)


def restore(address: DatabaseAddress, path: Path, description: dict[str, Any]) -> None:
    """Replace the database by the dump at `path`. Raises DatabaseCopyFailed, and then the present database stays.

    The dump is restored beside the present database and compared with its description before the two change places.
    """
    with address.connect("postgres") as server:
        _make_roles(server, description)
        _drop(server, _DRAFT)
        server.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(_DRAFT), sql.Identifier(OWNER_ROLE)))
        try:
            address.run("pg_restore", "--exit-on-error", "--no-comments", f"--dbname={_DRAFT}", str(path))
            with address.connect(_DRAFT) as connection:
                _compare(describe(connection), description)
        except BaseException:
            _drop(server, _DRAFT)
            raise
        _drop(server, _PREVIOUS)
        _rename(server, DATABASE_NAME, _PREVIOUS)
        _rename(server, _DRAFT, DATABASE_NAME)
        _drop(server, _PREVIOUS)


def _compare(found: dict[str, Any], expected: dict[str, Any]) -> None:
    different = [part for part in expected if found[part] != expected[part]]
    if "tables" in different:
        different += [name for name, table in expected["tables"].items() if found["tables"].get(name) != table]
    if different:
        raise DatabaseCopyFailed(f"the restored database differs from the backup: {', '.join(different)}")


def _make_roles(server: psycopg.Connection[Any], description: dict[str, Any]) -> None:
    known = {name for (name,) in server.execute("SELECT rolname FROM pg_roles")}
    for name, can_login, _superuser, creates_roles, _creates_databases, _bypasses in description["roles"]:
        if name not in known:
            abilities = f"{'LOGIN' if can_login else 'NOLOGIN'} {'CREATEROLE' if creates_roles else 'NOCREATEROLE'}"
            server.execute(sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(name), sql.SQL(abilities)))
    members = {tuple(row) for row in server.execute(_MEMBERS)}
    for role, member, inherits, sets in description["members"]:
        if (role, member, inherits, sets) in members:
            continue
        options = sql.SQL("INHERIT TRUE, SET TRUE" if inherits else "INHERIT FALSE, SET TRUE")
        server.execute(sql.SQL("GRANT {} TO {} WITH {}").format(sql.Identifier(role), sql.Identifier(member), options))


def _drop(server: psycopg.Connection[Any], name: str) -> None:
    server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _rename(server: psycopg.Connection[Any], old: str, new: str) -> None:
    server.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)))
