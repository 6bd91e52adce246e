"""Search paths of the functions that run with their owner's rights: `pg_catalog` first, temporary tables last.

With `public` first, an object there could replace a function or operator of PostgreSQL inside these functions.
"""

from alembic import op

revision, down_revision = "0017", "0016"

SEARCH_PATHS = """
DO $$
DECLARE
    definer regprocedure;
BEGIN
    FOR definer IN SELECT oid FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, public, pg_temp', definer);
    END LOOP;
END
$$
"""


def upgrade() -> None:
    """Set the search path of every SECURITY DEFINER function."""
    # The functions belong to `parley_search`, so that role must alter them.
    op.execute("SET LOCAL ROLE parley_search")
    op.execute(SEARCH_PATHS)
    op.execute("SET LOCAL ROLE NONE")
