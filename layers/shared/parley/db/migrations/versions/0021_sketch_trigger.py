"""Sketches by a trigger, also in databases where an earlier version of 0011 made them a generated column.

Values stay. Databases that ran the present 0011 do not change.
"""

from alembic import op

revision, down_revision = "0021", "0017"

FUNCTION = """
CREATE OR REPLACE FUNCTION parley_set_sketch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.sketch := public.parley_sketch(NEW.embedding);
    RETURN NEW;
END
$$;
"""
COLUMN = """
ALTER TABLE {table} ALTER COLUMN sketch DROP EXPRESSION IF EXISTS;
CREATE OR REPLACE TRIGGER set_sketch BEFORE INSERT OR UPDATE OF embedding, sketch ON {table}
    FOR EACH ROW EXECUTE FUNCTION parley_set_sketch();
"""


def upgrade() -> None:
    """Replace the generated columns."""
    op.execute(FUNCTION)
    for table in ("passages", "memories", "chunks"):
        op.execute(COLUMN.format(table=table))
