"""Prepares an empty database for the migrations, as an administrator who need not be a superuser (RDS's master user)."""

from collections.abc import Callable, Mapping

from sqlalchemy import text

from parley.db.engine import DatabaseRole, Engine

# Every statement can be repeated. On RDS and Aurora the roles log in with IAM. From PostgreSQL 16 on, a role that may create
# roles administers those it created, but is a member of none: hence the second grant.
_ROLES = """
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['parley_owner', 'parley_app', 'parley_background'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        END IF;
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_iam') AND NOT pg_has_role(name, 'rds_iam', 'MEMBER') THEN
            EXECUTE format('GRANT rds_iam TO %I', name);
        END IF;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'parley_search') THEN
        CREATE ROLE parley_search NOLOGIN;
    END IF;
    IF NOT pg_has_role('parley_owner', 'parley_search', 'SET') THEN
        GRANT parley_search TO parley_owner WITH INHERIT FALSE, SET TRUE;
    END IF;
END $$
"""
_EXTENSION = "CREATE EXTENSION IF NOT EXISTS vector"
# The owner of the database may already be parley_owner.
_SCHEMA = """
DO $$
BEGIN
    IF NOT has_schema_privilege('parley_owner', 'public', 'CREATE WITH GRANT OPTION') THEN
        GRANT USAGE, CREATE ON SCHEMA public TO parley_owner WITH GRANT OPTION;
    END IF;
END $$
"""
# A role's password cannot be a parameter of a statement: PostgreSQL quotes it instead.
_PASSWORD = text("SELECT format('%s ROLE %I LOGIN PASSWORD %L', CAST(:verb AS text), CAST(:name AS text), CAST(:password AS text))")


def bootstrap(run: Callable[[str], None]) -> None:
    """Create Parley's roles and the extension, and let `parley_owner` create tables. Safe to repeat.

    `run` runs one statement in the database as its administrator.
    """
    for statement in (_ROLES, _EXTENSION, _SCHEMA):
        run(statement.strip())


def set_passwords(engine: Engine, passwords: Mapping[DatabaseRole, str]) -> None:
    """Set the passwords of these roles, and create missing ones with it: Neon accepts no login role without a password.

    `engine` connects as `parley_owner`. Neon also accepts no password that is already hashed, so it is sent over TLS as it is.
    """
    with engine.begin() as connection:
        known = set(connection.scalars(text("SELECT rolname FROM pg_roles")))
        for role, password in passwords.items():
            name = f"parley_{role}"
            verb = "ALTER" if name in known else "CREATE"
            statement = connection.scalar(_PASSWORD, {"verb": verb, "name": name, "password": password})
            connection.exec_driver_sql(statement.replace("%", "%%"))
