"""Operations that change large tables without blocking requests. CONTRIBUTING.md describes the rules for migrations.

A migration that calls one of them, except `change_function`, may be interrupted after it has committed a part, and then runs again from
its start: write its statements so that they can be repeated (`IF NOT EXISTS`, `CREATE OR REPLACE`).
"""

from collections.abc import Iterable

from alembic import op
from sqlalchemy import text

# A statement that waits for a lock makes all later requests for the table wait behind it. It gives up soon, and the whole
# migration is retried (`functions/migrate/upgrade.py`). The second limit ends a migration that rewrites a large table after all.
LIMITS = "SET LOCAL lock_timeout = '500ms'; SET LOCAL statement_timeout = '60s';"

# Blocks of 8 KiB that one statement of a backfill updates: few enough to hold its row locks for much less than a second.
BACKFILL_BLOCKS = 64

_IS_INVALID = text("SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid)")
_BLOCKS = text("SELECT pg_relation_size(to_regclass(:name)) / current_setting('block_size')::integer")

_CHANGE_FUNCTION = """
DO $$
DECLARE
    definition text := pg_get_functiondef('{name}'::regproc);
    change text[];
BEGIN
    FOREACH change SLICE 1 IN ARRAY ARRAY[{changes}] LOOP
        IF length(definition) - length(replace(definition, change[1], '')) <> length(change[1]) THEN
            RAISE EXCEPTION '{name} has not once %', change[1];
        END IF;
        definition := replace(definition, change[1], change[2]);
    END LOOP;
    EXECUTE definition;
END
$$
"""


def change_function(name: str, changes: Iterable[tuple[str, str]]) -> None:
    """Replace parts of a function's present definition, each of which must stand there exactly once; quotes in them are doubled.

    `changes` are pairs of the text before and after. The current role must own the function.
    """
    pairs = ", ".join(f"ARRAY['{before}', '{after}']" for before, after in changes)
    op.execute(_CHANGE_FUNCTION.format(name=name, changes=pairs))


def create_index(name: str, on: str, *, is_unique: bool = False) -> None:
    """Create an index while the table is read and written; `on` is the part of the statement behind `ON`.

    An index that an interrupted run left invalid is dropped first.
    """
    kind = "UNIQUE INDEX" if is_unique else "INDEX"
    with op.get_context().autocommit_block():
        if not op.get_context().as_sql and op.get_bind().scalar(_IS_INVALID, {"name": name}):
            op.execute(f"DROP INDEX CONCURRENTLY {name}")
        op.execute(f"CREATE {kind} CONCURRENTLY IF NOT EXISTS {name} ON {on}")


def drop_index(name: str) -> None:
    """Drop an index while the table is read and written."""
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def backfill(table: str, assignment: str, *, where: str) -> None:
    """Update the rows of `table` that fulfil `where`, in short transactions of `BACKFILL_BLOCKS` blocks each.

    Rows that are written meanwhile must get their new values from the writer or from a trigger.
    """
    if op.get_context().as_sql:
        op.execute(f"UPDATE {table} SET {assignment} WHERE {where}")  # noqa: S608 (a migration's own text)
        return
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        blocks: int = connection.execute(_BLOCKS, {"name": table}).scalar_one()
        for first in range(0, blocks, BACKFILL_BLOCKS):
            range_of_blocks = f"ctid >= '({first},0)' AND ctid < '({first + BACKFILL_BLOCKS},0)'"
            connection.exec_driver_sql(f"UPDATE {table} SET {assignment} WHERE {range_of_blocks} AND {where}")  # noqa: S608
