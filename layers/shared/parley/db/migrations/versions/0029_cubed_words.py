"""With a sentence model, the share of words in a score is cubed instead of squared.

A text with only some of the words gives way to a text with the meaning a little more. `bench/retrieval/quality.py`
measures it, and docs/bench.md states how the exponent was chosen. The functions keep their signatures, so the previous release can call
them.
"""

from alembic import op

revision, down_revision = "0029", "0028"

CUBE = """
DO $$
DECLARE
    searched text;
    definition text;
BEGIN
    FOREACH searched IN ARRAY ARRAY['passages', 'memories', 'chunks'] LOOP
        SELECT pg_get_functiondef(oid) INTO STRICT definition FROM pg_proc
         WHERE proname = 'parley_search_' || searched AND pronamespace = 'public'::regnamespace;
        IF position('s.high IS NULL THEN 1 ELSE 2 END' IN definition) = 0 THEN
            RAISE EXCEPTION 'parley_search_% weighs words in another way', searched;
        END IF;
        EXECUTE replace(definition, 's.high IS NULL THEN 1 ELSE 2 END', 's.high IS NULL THEN 1 ELSE 3 END');
    END LOOP;
END
$$
"""


def upgrade() -> None:
    """Replace the search functions by the same with another exponent."""
    op.execute("GRANT CREATE ON SCHEMA public TO parley_search")
    # The functions belong to `parley_search`, so that role must replace them.
    op.execute("SET LOCAL ROLE parley_search")
    op.execute(CUBE)
    op.execute("SET LOCAL ROLE NONE")
    op.execute("REVOKE CREATE ON SCHEMA public FROM parley_search")
