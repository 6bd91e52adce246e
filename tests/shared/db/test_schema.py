"""Rules for every table, checked against the catalogue, so that new tables are covered."""

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from functions.migrate.upgrade import upgrade
from parley.db import migrations
from parley.db.engine import make_engine
from parley.db.migrations import lock
from parley.db.tables import metadata
from parley.settings import DatabaseSettings
from tests.support.time_limits import HANG_S

GUIDE = Path(__file__).parents[3] / "docs" / "deploy.md"
MEMBERS = "SELECT CAST(CAST(member AS regrole) AS text) FROM pg_auth_members WHERE roleid = CAST('rds_iam' AS regrole)"
NEWEST = ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head()
LOGINS = {"oidc_logins", "oidc_logout_tokens", "passkey_challenges"}
GROUPS = {"groups", "group_invitations", "group_budgets"}
GLOBAL = (
    {
        "users",
        "signups",
        "invites",
        "guesses",
        "breakers",
        "mcp_listings",
        "schedule_alarm",
        "deployment_audit",
        "scim_tokens",
        "alembic_version",
    }
    | LOGINS
    | GROUPS
)
TABLES = "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
KEYS = """
SELECT c.relname, (SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum = i.indkey[0]) AS first
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
 WHERE i.indisprimary AND c.relnamespace = 'public'::regnamespace
"""


@pytest.fixture
def owner(engines):
    with engines["owner"].connect() as connection:
        yield connection


def test_the_tables_in_the_code_are_the_tables_in_the_database(owner):
    assert compare_metadata(MigrationContext.configure(owner), metadata) == []


def test_every_table_forces_row_level_security(owner):
    open_tables = {row.relname for row in owner.execute(text(TABLES)) if not (row.relrowsecurity and row.relforcerowsecurity)}

    assert open_tables == {"alembic_version"}


def test_every_tenant_table_is_keyed_by_user(owner):
    first_columns = {row.relname: row.first for row in owner.execute(text(KEYS)) if row.relname not in GLOBAL}

    assert set(first_columns.values()) == {"user_id"}


@pytest.mark.parametrize("role", ["parley_app", "parley_background"])
def test_no_request_role_owns_a_table_or_bypasses_row_level_security(owner, role):
    found = owner.execute(text("SELECT rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles WHERE rolname = :role"), {"role": role})
    owned = owner.execute(text("SELECT count(*) FROM pg_class WHERE relowner = CAST(:role AS regrole)"), {"role": role})

    assert (found.scalar(), owned.scalar()) == (False, 0)


@pytest.fixture
def rds(postgres, database):
    """An empty database in a cluster like RDS's, with the role `rds_iam` whose members log in by IAM."""
    postgres.execute("CREATE ROLE rds_iam NOLOGIN")
    name = postgres.create_database("rds")
    engine = make_engine(DatabaseSettings.model_validate(database.model_dump() | {"database_name": name}), role="owner")
    yield engine
    engine.dispose()
    postgres.execute(f"DROP DATABASE {name}")
    postgres.execute("DROP ROLE rds_iam")


def test_on_rds_the_roles_log_in_by_iam_after_the_documented_grant(postgres, rds):
    (grant,) = re.findall(r"^ *(GRANT rds_iam [^;]+);", GUIDE.read_text(), re.MULTILINE)
    postgres.execute(grant)
    upgrade(rds)

    assert set(postgres.execute(MEMBERS)) == {("parley_owner",), ("parley_app",), ("parley_background",)}


def test_on_rds_an_owner_without_grant_rights_uses_existing_roles(postgres, rds):
    postgres.execute("GRANT rds_iam TO parley_owner, parley_app, parley_background")

    assert upgrade(rds).revision_after == NEWEST


# Ids, times and numbers: the background role must not see users' content, except the feedback that they write for the admins.
BACKGROUND = {
    "users": "delete select(created_at disabled_at display_name email id monthly_budget_usd retention_days role) "
    "update(disabled_at monthly_budget_usd role)",
    "credentials": "select(password_hash user_id verified_email) update(updated_at)",
    "conversations": "select(id updated_at user_id)",
    "sessions": "delete select(address created_at ended_at expires_at id oidc_issuer oidc_session user_id) update(ended_at)",
    "turns": "select(heartbeat_at id idempotency_key started_at status user_id waiting_since) update(fingerprint idempotency_key)",
    "turn_events": "delete select(at user_id)",
    "audit_events": "delete insert select(at user_id)",
    "deployment_audit": "insert(account_id action actor actor_id detail id network outcome) select",
    "api_keys": "delete select(expires_at revoked_at user_id) update(revoked_at)",
    "exports": "delete select(ready_at user_id)",
    "imports": "delete select(created_at id leased_until status user_id)",
    "outbox": "delete select update(attempts claimed_until due_at tries)",
    "idempotency_keys": "delete select(created_at user_id)",
    "feedback": "select",
    "responses": "delete select(created_at user_id)",
    "client_conversations": "delete select(used_at user_id)",
    "response_pieces": "delete select(at user_id)",
    "shared_links": "delete select(expires_at user_id)",
    "scheduled_prompts": "select(cron every_minutes id next_at paused_at time_zone user_id) update(next_at)",
    "schedule_runs": "delete insert(due_at id schedule_id user_id) "
    "select(attempts created_at due_at id leased_until schedule_id sent_at status user_id) update(sent_at)",
    "schedule_alarm": "select update",
    "webhook_deliveries": "delete select(created_at due_at id status type user_id) update(due_at)",
    "one_time_codes": "delete select(expires_at user_id)",
    "oidc_identities": "select(issuer subject user_id)",
    "oidc_logins": "delete insert select",
    "oidc_logout_tokens": "delete insert select",
    "passkey_challenges": "delete insert select",
    "second_factors": "select(confirmed_at user_id)",
    "signups": "delete insert select update",
    "invites": "delete insert select",
    "guesses": "delete insert select update",
    "usage": "select(at cost_usd input_tokens model output_tokens turn_id user_id)",
    "budgets": "select(month reserved_usd subject_id user_id) update(reserved_usd)",
    "budget_reservations": "delete select(amount_usd expires_at month subject_id user_id)",
    "rate_limits": "delete select(free_at)",
    "documents": "select(created_at id is_waiting leased_until status user_id)",
    "chunks": "select(document_id embedding_model user_id)",
    "passages": "select(embedding_model user_id)",
    "groups": "delete insert(external_id id is_managed name) "
    "select(created_at external_id id is_managed member_budget_usd monthly_budget_usd name updated_at) "
    "update(external_id member_budget_usd monthly_budget_usd name updated_at)",
    "scim_users": "select",
    "scim_tokens": "delete insert select update(expires_at last_used_at)",
    "group_budgets": "select update(reserved_usd)",
    "group_members": "delete insert(group_id pays role user_id) select(created_at group_id pays role user_id) update(pays role)",
    "group_invitations": "delete select(created_at email)",
}
GRANTS = """
SELECT table_name, lower(privilege_type) AS privilege, NULL AS column_name FROM information_schema.table_privileges
 WHERE grantee = 'parley_background'
UNION ALL
SELECT c.table_name, lower(c.privilege_type), c.column_name FROM information_schema.column_privileges c
 WHERE c.grantee = 'parley_background' AND NOT EXISTS (
       SELECT FROM information_schema.table_privileges t WHERE t.grantee = c.grantee AND t.table_name = c.table_name
          AND t.privilege_type = c.privilege_type)
"""


def granted(owner):
    """Return the background role's rights by table, in the format of `BACKGROUND`."""
    found = {}
    for table, privilege, column in owner.execute(text(GRANTS)):
        found.setdefault(table, {}).setdefault(privilege, set()).update([column] if column else [])
    return {
        table: " ".join(f"{name}({' '.join(sorted(columns))})" if columns else name for name, columns in sorted(rights.items()))
        for table, rights in found.items()
    }


def test_the_background_role_has_only_the_rights_it_needs(owner):
    assert granted(owner) == BACKGROUND


def test_upgrading_again_changes_nothing(engines):
    done = upgrade(engines["owner"])

    assert done.revision_before == done.revision_after == NEWEST


UPGRADE = """
from functions.migrate.app import engine
from functions.migrate.upgrade import upgrade
print(upgrade(engine()).revision_after)
"""


def test_two_concurrent_upgrades_of_an_empty_database_both_succeed(postgres, environment):
    variables = os.environ | {"PARLEY_DATABASE_NAME": postgres.create_database("two_upgrades")}
    started = [subprocess.Popen([sys.executable, "-c", UPGRADE], env=variables, stdout=subprocess.PIPE, text=True) for _ in range(2)]

    assert [process.communicate(timeout=HANG_S)[0].strip() for process in started] == [NEWEST, NEWEST]


def test_an_upgrade_waits_for_another_one(database, owner, monkeypatch):
    owner.execute(text("SELECT pg_advisory_xact_lock(7202611)"))
    other, has_waited = make_engine(database, role="owner"), threading.Event()
    monkeypatch.setattr(lock, "time", SimpleNamespace(sleep=lambda _: has_waited.set()))
    with ThreadPoolExecutor(1) as pool:
        upgrading = pool.submit(upgrade, other)
        has_waited.wait(30)
        is_waiting = not upgrading.done()
        owner.rollback()
        upgrading.result(30)
    other.dispose()

    assert (has_waited.is_set(), is_waiting) == (True, True)


@pytest.mark.parametrize("column", ["role", "monthly_budget_usd"])
def test_no_request_can_change_admin_only_columns(owner, column):
    allowed = owner.scalar(text("SELECT has_column_privilege('parley_app', 'users', :column, 'UPDATE')"), {"column": column})

    assert not allowed
