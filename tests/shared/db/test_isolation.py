"""Tenant isolation: each user sees only their own rows on any pooled connection, and no statement breaks a pooler."""

import re
import time
from collections import Counter

import boto3
import pytest
from sqlalchemy import Engine, text

from parley.db.engine import make_engine
from parley.db.transactions import global_scope, user_scope
from parley.settings import DatabaseSettings
from tests.shared.db.tenant_visibility import CLIENTS_PER_PROCESS, count_visible_rows, visible_rows
from tests.support.api_gateway import PASSWORD, Person
from tests.support.concurrency import ROUNDS, DeploymentKeys, running_client_processes
from tests.support.pgbouncer import running_pgbouncer

# Tables with a column `user_id`, and `users`. Derived from the catalogue, so that new tables are covered.
TENANT_TABLES = """
SELECT c.relname FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND (c.relname = 'users'
   OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'user_id' AND NOT a.attisdropped))
"""
FORCED = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relrowsecurity AND relforcerowsecurity"
POLICIES = """
SELECT tablename, permissive, cmd, qual, with_check FROM pg_policies
 WHERE schemaname = 'public' AND roles && ARRAY['parley_app', 'public']::name[]
"""
MINE = "({} = (NULLIF(current_setting('parley.user_id'::text, true), ''::text))::uuid)"
# The policies of groups, which differ by command: `tests/shared/db/groups/test_groups.py` tests them.
OF_GROUPS = {"group_members"}
SHARED_WITH_GROUPS = {"documents": "parley_reads_document(user_id, id)", "chunks": "parley_reads_document(user_id, document_id)"}
SHARED = "(is_shared AND ((NULLIF(current_setting('parley.user_id'::text, true), ''::text))::uuid IS NOT NULL))"
# Views, and functions that run as their owner, could bypass the policies.
BYPASSES = """
SELECT relname FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace = 'public'::regnamespace
UNION ALL
SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace
"""
ROLES = """
SELECT r.rolname FROM pg_roles r WHERE r.rolname IN ('parley_app', 'parley_background') AND (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole
   OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid)
   OR EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid) OR EXISTS (SELECT FROM pg_namespace n WHERE n.nspowner = r.oid))
"""


@pytest.fixture
def tenant_tables(postgres, database):
    """The names of the tables with users' rows."""
    return {name for (name,) in postgres.execute(TENANT_TABLES, dbname="parley")}


def test_every_tenant_table_forces_row_level_security(postgres, tenant_tables):
    forced = {name for (name,) in postgres.execute(FORCED, dbname="parley")}

    assert len(tenant_tables) > 10
    assert tenant_tables <= forced


def test_the_app_roles_only_policies_are_own_rows_and_shared_documents(postgres, tenant_tables):
    found = {row for row in postgres.execute(POLICIES, dbname="parley") if row[0] in tenant_tables - OF_GROUPS}
    mine = {name: MINE.format("id" if name == "users" else "user_id") for name in tenant_tables - OF_GROUPS}

    shared = {(name, "PERMISSIVE", "SELECT", SHARED, None) for name in ("documents", "chunks")}
    shared |= {(name, "PERMISSIVE", "SELECT", readable, None) for name, readable in SHARED_WITH_GROUPS.items()}
    assert found == {(name, "PERMISSIVE", "ALL", own, own) for name, own in mine.items()} | shared


def test_only_the_functions_of_search_groups_links_assistants_prompts_and_audit_bypass_the_policies(postgres, database):
    searches = {("parley_search_passages",), ("parley_search_memories",), ("parley_search_chunks",)}
    of_groups = {("parley_group_role",), ("parley_group_documents",), ("parley_reads_document",), ("parley_fellows",)}
    assert set(postgres.execute(BYPASSES, dbname="parley")) == searches | of_groups | {
        ("parley_shared_link",),
        ("parley_assistants",),
        ("parley_prompts",),
        ("parley_forget_audit",),
    }


def test_no_request_role_can_bypass_the_policies(postgres, database):
    assert postgres.execute(ROLES, dbname="parley") == []


def test_a_transaction_without_a_user_sees_no_tenant_rows(auth, conversation, alice, postgres, engine, tenant_tables):
    conversation.post("/conversations", {}, as_=alice)
    auth.post("/auth/me/exports", as_=alice)
    auth.post("/auth/api-keys", {"name": "a script", "password": PASSWORD, "scopes": ["chat"]}, as_=alice)
    there = {name for name in tenant_tables if postgres.execute(f"SELECT 1 FROM {name} LIMIT 1", dbname="parley")}

    assert there >= {"users", "credentials", "sessions", "refresh_tokens", "audit_events", "conversations", "exports", "outbox", "api_keys"}
    with global_scope(engine) as connection:
        assert [connection.scalar(text(f"SELECT count(*) FROM {name}")) for name in tenant_tables] == [0] * len(tenant_tables)


@pytest.fixture
def one_connection(postgres, environment, database):
    """Two engines behind a pooler with a single connection, like two warm workers in turn."""
    with running_pgbouncer(postgres, pool_size=1) as address:
        port = int(address["PARLEY_DATABASE_PORT"])
        settings = DatabaseSettings.model_validate(database.model_dump() | {"database_port": port})
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PGPASSFILE", address["PGPASSFILE"])
            clients = [make_engine(settings), make_engine(settings)]
            yield clients
        for client in clients:
            client.dispose()


def test_a_pooled_connection_forgets_its_previous_user(one_connection, alice, bob):
    for client in one_connection:
        assert [visible_rows(client, alice.id), visible_rows(client, None), visible_rows(client, bob.id)] == ["own", "none", "own"]
        with user_scope(client, alice.id) as connection:
            connection.rollback()
            assert connection.scalar(text("SELECT count(*) FROM users")) == 0
    assert [visible_rows(client, None) for client in one_connection] == ["none", "none"]


@pytest.mark.parametrize("statement", ["SELECT 1", "SELECT set_config('parley.user_id', '', false)"])
def test_an_empty_user_setting_shows_no_rows_and_raises_no_error(engine: Engine, statement):
    with global_scope(engine) as connection:
        connection.execute(text(statement))

        assert connection.scalar(text("SELECT count(*) FROM users")) == 0


def test_a_hundred_clients_on_two_connections_see_no_foreign_row(auth, postgres, environment, conversation, alice, bob):
    from functions.auth.app import services

    for person in (alice, bob):
        conversation.post("/conversations", {}, as_=person)
    # A long wait for a pooled connection is allowed: the test is about what a client sees, not about time-outs.
    with running_pgbouncer(postgres, pool_size=2, patience_s=60) as address:
        keys = DeploymentKeys.of(services.key_ring())
        with running_client_processes(environment | address, keys) as clients:
            assert clients.get("/auth/me", as_=alice).status == 200  # so that no client waits for the pooler's first login
            seen = sum(clients.do(count_visible_rows, [alice.id, bob.id], 12 * ROUNDS), Counter())

    assert seen == {"own": 2 * 2 * CLIENTS_PER_PROCESS * 4 * ROUNDS, "none": 2 * CLIENTS_PER_PROCESS * 4 * ROUNDS}


# Statements that make RDS Proxy pin a connection to a client, or leave state for the next client of PgBouncer.
PINNING = re.compile(
    r"^\s*(set\s+(?!local\b|transaction\b|constraints\b)|reset\b|prepare\b|deallocate\b|discard\b|listen\b|unlisten\b|declare\b.*with hold"
    r"|create\s+(local\s+|global\s+)?temp|lock\b|load\b)|\b(nextval|setval|currval|lastval)\s*\(|pg_(try_)?advisory_(?!xact)(un)?lock(?!.*xact)|set_config\([^)]*,\s*false",
    re.IGNORECASE | re.DOTALL,
)
LOGGED = re.compile(r"LOG:  (statement|execute [^:]+): (.*(?:\n\t.*)*)")


@pytest.fixture
def statements(postgres, database):
    """Return a function that reads the statements run since the test began, as (protocol step, SQL)."""
    log = postgres.passfile.parent / "logs" / "postgres.log"
    postgres.execute("ALTER SYSTEM SET log_statement = 'all'")
    postgres.execute("SELECT pg_reload_conf()")
    while postgres.execute("SHOW log_statement") != [("all",)]:
        time.sleep(0.01)
    start = log.stat().st_size

    def read():
        postgres.execute("SELECT 'the last statement'")
        while "the last statement" not in (found := log.read_text()[start:]):
            time.sleep(0.01)
        return LOGGED.findall(found)

    yield read
    postgres.execute("ALTER SYSTEM RESET log_statement")
    postgres.execute("SELECT pg_reload_conf()")


def journey(auth):
    """Use most routes of an account once, so that their statements are logged."""
    person = Person.registered(auth)
    again = Person.signed_in(auth, person.email)
    auth.post("/auth/refresh", {"refresh_token": again.tokens["refresh_token"]})
    for path in ("/auth/me", "/auth/sessions", "/auth/audit", "/auth/api-keys"):
        assert auth.get(path, as_=person).status == 200
    auth.post("/auth/login", {"email": person.email, "password": "not the pass phrase"})
    auth.post("/auth/password/forgot", {"email": person.email})
    new = {"current_password": PASSWORD, "new_password": "quite another sentence to remember"}
    assert auth.post("/auth/password", new, as_=person).status == 204
    assert auth.post("/auth/logout", {"everywhere": True}, as_=person).status == 204


def test_no_statement_of_an_accounts_life_pins_a_pooled_connection(client_processes, auth, conversation, statements):
    for function in (auth, client_processes):
        journey(function)
    person = Person.registered(auth)
    conversation.post("/conversations", {}, as_=person)
    conversation.get("/conversations", as_=person)
    ran = statements()

    assert len(ran) > 100
    assert any("INSERT INTO refresh_tokens" in sql and sql.count("\n") > 10 for _, sql in ran)
    assert [sql for _, sql in ran if PINNING.search(sql) and "ALTER SYSTEM" not in sql] == []
    assert {how for how, _ in ran} <= {"statement", "execute <unnamed>"}


def test_no_statement_of_turns_documents_tools_and_background_work_pins_a_pooled_connection(
    statements, auth, chat, conversation, documents, tools, ingest, summarize, upkeep, environment
):
    person = Person.registered(auth)
    turn = chat.post("/chat", {"message": "What is 12.5% of 840?", "stream": False}, as_=person).json
    assert chat.get(f"/chat/turns/{turn['turn_id']}/events", as_=person).status == 200
    assert chat.post("/chat/regenerate", {"conversation_id": turn["conversation_id"]}, as_=person).status == 200
    assert conversation.get("/conversations/search?q=840", as_=person).status == 200
    assert tools.call("PUT", "/tools/search_documents", {"enabled": True}, as_=person).status == 200
    assert documents.get("/documents/search?q=840", as_=person).status == 200
    prepared = documents.post("/documents/uploads", {"filename": "a.txt", "content_type": "text/plain", "bytes": 3}, as_=person).json
    boto3.client("s3").put_object(Bucket=environment["PARLEY_FILES_BUCKET"], Key=f"documents/{person.id}/{prepared['id']}", Body=b"abc")
    ingest.read(person, prepared["id"])
    summarize.drain(environment["PARLEY_MEMORY_QUEUE_URL"])
    summarize.run_schedule()
    upkeep.sweep()
    upkeep.recover()
    ran = statements()

    for table in ("turns", "chunks", "summaries", "usage", "outbox", "tool_settings"):
        assert any(re.search(rf"\b{table}\b", sql) for _, sql in ran), table
    assert [sql for _, sql in ran if PINNING.search(sql) and "ALTER SYSTEM" not in sql] == []
    assert {how for how, _ in ran} <= {"statement", "execute <unnamed>"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT nextval('event_ids')",
        "SET parley.user_id = 'x'",
        "set session statement_timeout = 1",
        "SELECT set_config('parley.user_id', 'x', false)",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_lock_shared(1)",
        "CREATE TEMPORARY TABLE t (i int)",
        "LISTEN turns",
        "PREPARE p AS SELECT 1",
        "DEALLOCATE ALL",
        "DISCARD ALL",
    ],
)
def test_the_check_recognises_pinning_statements(sql):
    assert PINNING.search(sql)


@pytest.mark.parametrize("sql", ["SET LOCAL x = 1", "SELECT pg_advisory_xact_lock(1)", "UPDATE users SET role = 'user'", "BEGIN"])
def test_the_check_ignores_statements_local_to_a_transaction(sql):
    assert not PINNING.search(sql)
