"""Vectors of the lexical model weigh a quarter of the words in a search.

They compare words once more, less exactly than BM25 does: with the full weight, a search found less than by words alone. The
weight was measured by `bench/retrieval/quality.py`. The functions keep their signatures, so the previous release can call them.
"""

from alembic import op

revision, down_revision = "0025", "0024"

WEIGHT = """
DO $$
DECLARE
    searched text;
    definition text;
BEGIN
    FOREACH searched IN ARRAY ARRAY['passages', 'memories', 'chunks'] LOOP
        SELECT pg_get_functiondef(oid) INTO STRICT definition FROM pg_proc
         WHERE proname = 'parley_search_' || searched AND pronamespace = 'public'::regnamespace;
        IF position('+ CASE WHEN s.high > s.low THEN' IN definition) = 0 THEN
            RAISE EXCEPTION 'parley_search_% adds its scores in another way', searched;
        END IF;
        EXECUTE replace(definition, '+ CASE WHEN s.high > s.low THEN',
                        '+ CASE WHEN model = ''lexical'' THEN 0.25 ELSE 1 END * CASE WHEN s.high > s.low THEN');
    END LOOP;
END
$$
"""


def upgrade() -> None:
    """Replace the search functions by the same with a weight."""
    op.execute("GRANT CREATE ON SCHEMA public TO parley_search")
    # The functions belong to `parley_search`, so that role must replace them.
    op.execute("SET LOCAL ROLE parley_search")
    op.execute(WEIGHT)
    op.execute("SET LOCAL ROLE NONE")
    op.execute("REVOKE CREATE ON SCHEMA public FROM parley_search")
