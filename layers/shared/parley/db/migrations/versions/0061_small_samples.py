"""The search of 2,000 or more passages or facts no longer divides by zero.

A search takes some 250 of a user's texts as a sample, from the eighth of the ids that it has kept. Just above 2,000 texts that eighth
is sometimes under 250, and the step through it was then zero: every search of that user failed, and so did every turn with a memory.
The mean length of the sampled texts is also zero where none of them has a word. The functions keep their signatures, so the previous
release can call them.
"""

from alembic import op

from parley.db.migrations.operations import change_function

revision, down_revision = "0061", "0060"

STEP = ("cardinality(size.some) / 250)", "greatest(1, cardinality(size.some) / 250))")
LENGTH = ("length(t.words) / (SELECT words FROM usual)", "length(t.words) / nullif((SELECT words FROM usual), 0)")
CHANGES = {"passages": (STEP, LENGTH), "memories": (STEP, LENGTH), "chunks": (LENGTH,)}


def upgrade() -> None:
    """Replace the search functions by the same with divisors that are never zero."""
    op.execute("GRANT CREATE ON SCHEMA public TO parley_search")
    # The functions belong to `parley_search`, so that role must replace them.
    op.execute("SET LOCAL ROLE parley_search")
    for searched, changes in CHANGES.items():
        change_function(f"parley_search_{searched}", changes)
    op.execute("SET LOCAL ROLE NONE")
    op.execute("REVOKE CREATE ON SCHEMA public FROM parley_search")
