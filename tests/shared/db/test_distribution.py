"""The live schema against the rules for distributed tables of Citus and Aurora Limitless; docs/scale.md explains each exception.

The rules of Citus are those of its sources (`foreign_constraint.c`, `index.c`, `trigger.c`, `policy.c`, 14.0); those of
Limitless are AWS's lists of supported and limited DDL (Aurora User Guide, 16.x-limitless).
"""

import ast
import re
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from tests.conftest import ROOT

# Users and groups are copied to every node; the other tables without `user_id` stay on one.
REFERENCE = {"users", "groups", "group_members", "group_invitations"}
LOCAL = {
    "signups",
    "invites",
    "oidc_logins",
    "oidc_logout_tokens",
    "passkey_challenges",
    "guesses",
    "breakers",
    "schedule_alarm",
    "mcp_listings",
    "group_budgets",
    "deployment_audit",
    "scim_tokens",
    "alembic_version",
}
SHARD_KEY = "user_id"
GUIDE = (ROOT / "docs/scale.md").read_text()

COLUMNS = """
SELECT c.relname AS table_name, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS is_required,
       a.attgenerated AS generated
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
"""
UNIQUE_INDEXES = """
SELECT c.relname AS table_name, x.relname AS name, i.indisprimary AS is_primary,
       ARRAY(SELECT a.attname FROM unnest(i.indkey::int2[]) k JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k) AS columns
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
 WHERE (i.indisunique OR i.indisexclusion) AND c.relnamespace = 'public'::regnamespace
"""
FOREIGN_KEYS = """
SELECT c.relname AS table_name, f.relname AS referenced, k.conname AS name, k.confdeltype AS on_delete, k.confupdtype AS on_update,
       ARRAY(SELECT a.attname FROM unnest(k.conkey) n JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = n) AS columns,
       ARRAY(SELECT a.attname FROM unnest(k.confkey) n JOIN pg_attribute a ON a.attrelid = f.oid AND a.attnum = n) AS referenced_columns
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
 WHERE k.contype = 'f' AND c.relnamespace = 'public'::regnamespace
"""
TRIGGERS = "SELECT tgname AS name, CAST(tgrelid AS regclass)::text AS table_name FROM pg_trigger WHERE NOT tgisinternal"
POLICIES = """
SELECT tablename AS table_name, policyname AS name, concat(qual, ' ', with_check) AS expression
  FROM pg_policies WHERE schemaname = 'public'
"""
SPECIAL = """
SELECT relname AS name FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND (relkind IN ('p', 'f', 'S') OR relkind = 'r' AND relpersistence <> 'p')
"""

SET_NULL_OR_DEFAULT = {"n", "d"}
MOVES_ROWS = {"n", "d", "c"}


@dataclass(frozen=True)
class Schema:
    """The rows of the queries above."""

    columns: list
    indexes: list
    foreign_keys: list
    triggers: list
    policies: list

    @property
    def distributed(self):
        return {column.table_name for column in self.columns if column.name == SHARD_KEY} - REFERENCE


@pytest.fixture(scope="module")
def schema(engines):
    with engines["owner"].connect() as connection:
        return Schema(*(list(connection.execute(text(query))) for query in (COLUMNS, UNIQUE_INDEXES, FOREIGN_KEYS, TRIGGERS, POLICIES)))


def test_every_table_has_its_place(schema):
    assert {column.table_name for column in schema.columns} == schema.distributed | REFERENCE | LOCAL
    assert schema.distributed.isdisjoint(REFERENCE | LOCAL)


def test_the_shard_key_has_one_type_and_a_value_that_is_stored(schema):
    keys = {(column.type, column.is_required, column.generated) for column in schema.columns if column.name == SHARD_KEY}

    assert keys == {("uuid", True, "")}


def test_every_unique_index_of_a_distributed_table_contains_the_shard_key(schema):
    missing = [index.name for index in schema.indexes if index.table_name in schema.distributed and SHARD_KEY not in index.columns]

    assert missing == []


def test_every_distributed_table_has_a_primary_key_so_that_shards_can_move(schema):
    assert {index.table_name for index in schema.indexes if index.is_primary} >= schema.distributed


def test_foreign_keys_join_rows_of_one_user_or_reach_a_reference_table(schema):
    refused = []
    for key in schema.foreign_keys:
        if key.table_name not in schema.distributed:
            # Citus copies a reference table only if all tables that it refers to are copied, too.
            is_allowed = key.referenced in REFERENCE if key.table_name in REFERENCE else key.referenced not in schema.distributed
        elif key.referenced in schema.distributed:
            pairs = list(zip(key.columns, key.referenced_columns, strict=True))
            is_allowed = (SHARD_KEY, SHARD_KEY) in pairs
        else:
            is_allowed = key.referenced in REFERENCE
        refused += [] if is_allowed else [key.name]

    assert refused == []


def test_only_the_documented_foreign_keys_would_change_a_shard_key(schema):
    refused = [
        key.name
        for key in schema.foreign_keys
        # Citus refuses SET NULL even if it names only another column of the key.
        if SHARD_KEY in key.columns and (key.on_delete in SET_NULL_OR_DEFAULT or key.on_update in MOVES_ROWS)
    ]

    assert refused == ["memories_user_id_superseded_by_fkey"]
    assert all(name in GUIDE for name in refused)


def test_only_the_documented_triggers_run_on_distributed_tables(schema):
    on = {trigger.table_name for trigger in schema.triggers}

    assert {trigger.name for trigger in schema.triggers} == {"set_sketch", "set_words"}
    assert on == {"passages", "memories", "chunks"}
    assert "`set_sketch`" in GUIDE
    assert "`set_words`" in GUIDE


def test_no_sequence_and_no_special_kind_of_table(engines):
    with engines["owner"].connect() as connection:
        others = [row.name for row in connection.execute(text(SPECIAL))]

    assert others == []


def test_no_policy_of_a_distributed_table_has_a_subquery(schema):
    with_subquery = [policy.name for policy in schema.policies if re.search(r"\bselect\b", policy.expression, re.IGNORECASE)]

    assert with_subquery == []


def test_limitless_lacks_the_policies_that_this_schema_needs(schema):
    guarded = {policy.table_name for policy in schema.policies}

    # The reason why Limitless is ruled out in docs/scale.md. If this ever fails, reconsider it.
    assert guarded >= schema.distributed
    assert "Limitless has no row level security" in " ".join(GUIDE.split())


def sql_texts():
    """Return (module, SQL) for the string literals of `parley.db` that lock rows."""
    for path in sorted((ROOT / "layers/shared/parley/db").rglob("*.py")):
        if "migrations" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
                sql = ast.unparse(node)
                if re.search(r"FOR (UPDATE|SHARE)\b", sql) and re.search(r"\b(SELECT|UPDATE)\b.*\bFROM\b", sql, re.DOTALL):
                    yield path.stem, sql


def test_only_the_documented_statements_lock_rows_of_many_users():
    locks = list(sql_texts())
    across_users = [(module, sql) for module, sql in locks if not re.search(r"\buser_id = :user_id", sql)]

    assert len(locks) >= 4
    assert sorted(module for module, _ in across_users) == ["alarm", "alarm", "deliveries", "outbox"]
    assert {"`_CLAIM_NEXT`", "`_TAKE_DUE`", "`_TAKE_LOST`"} <= set(re.findall("`[A-Z_]+`", GUIDE))
