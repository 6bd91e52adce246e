"""The neighbours of a passage get a fifth of its score instead of a tenth.

In a conversation, what answers a question often stands beside what the question's words hit: of 1,531 questions about ten conversations,
2.5 points more are answered by the best five passages (docs/bench.md, "Retrieval quality"). Chunks of documents keep their tenth, because
texts that stand alone are found less often with more. The function keeps its signature, so the previous release can call it.
"""

from alembic import op

from parley.db.migrations.operations import change_function

revision, down_revision = "0067", "0066"

SHARE = (
    "CASE WHEN query = '''' THEN 0 ELSE 0.1 END * coalesce(greatest(n.before, n.after), 0)",
    "CASE WHEN query = '''' THEN 0 ELSE 0.2 END * coalesce(greatest(n.before, n.after), 0)",
)


def upgrade() -> None:
    """Replace the search function by the same with another share."""
    op.execute("GRANT CREATE ON SCHEMA public TO parley_search")
    # The function belongs to `parley_search`, so that role must replace it.
    op.execute("SET LOCAL ROLE parley_search")
    change_function("parley_search_passages", [SHARE])
    op.execute("SET LOCAL ROLE NONE")
    op.execute("REVOKE CREATE ON SCHEMA public FROM parley_search")
