import pytest

from parley.db.migrations.operations import LIMITS
from tests.contract.migration_lint import migration_sql, problems


def in_transaction(statement):
    return f"BEGIN;\n{LIMITS}\n{statement}\nCOMMIT;\n"


def test_the_migrations_hold_no_lock_for_long():
    assert problems(migration_sql()) == []


@pytest.mark.parametrize(
    ("rule", "statement"),
    [
        ("require-concurrent-index-creation", "CREATE INDEX a ON messages (created_at);"),
        ("require-concurrent-index-deletion", "DROP INDEX messages_active;"),
        ("adding-field-with-default", "ALTER TABLE messages ADD COLUMN a text GENERATED ALWAYS AS (role || status) STORED;"),
        ("adding-not-nullable-field", "ALTER TABLE messages ALTER COLUMN model SET NOT NULL;"),
        ("changing-column-type", "ALTER TABLE messages ALTER COLUMN tokens TYPE bigint;"),
        ("constraint-missing-not-valid", "ALTER TABLE messages ADD CONSTRAINT a CHECK (tokens >= 0);"),
        # What the previous release still reads.
        ("ban-drop-column", "ALTER TABLE messages DROP COLUMN model;"),
        ("renaming-column", "ALTER TABLE messages RENAME COLUMN model TO model_name;"),
    ],
)
def test_a_migration_that_blocks_requests_or_the_previous_release_is_noticed(rule, statement):
    assert any(f"9999: {rule}" in line for line in problems({"9999": in_transaction(statement)}))
