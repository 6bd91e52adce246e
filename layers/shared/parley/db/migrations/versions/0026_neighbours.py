"""Neighbours of a hit share in its score, and with a sentence model a text with only some of the words scores lower.

With a sentence model, the share of words in a score is squared: a text with some of the words no longer displaces a text with the
meaning. Without vectors and with those of the lexical model, words count as before. A passage or chunk that is next to a hit, in the
same conversation or document, gets a tenth of the hit's score in addition, unless the search is by vectors alone.
`bench/retrieval/quality.py` measures both. The functions keep their signatures, so the previous release can call them.
"""

from alembic import op

revision, down_revision = "0026", "0025"

REPLACEMENT = """
DO $$
DECLARE
    definition text := pg_get_functiondef('{function}'::regproc);
    change text[];
BEGIN
    FOREACH change SLICE 1 IN ARRAY ARRAY[{changes}] LOOP
        IF length(definition) - length(replace(definition, change[1], '')) <> length(change[1]) THEN
            RAISE EXCEPTION '{function} has not once %', change[1];
        END IF;
        definition := replace(definition, change[1], change[2]);
    END LOOP;
    EXECUTE definition;
END
$$
"""
SQUARE = (
    "(coalesce(w.weight / s.weight, 0)\n",
    "(power(coalesce(w.weight / s.weight, 0), CASE WHEN model = 'lexical' OR s.high IS NULL THEN 1 ELSE 2 END)\n",
)
NEIGHBOURS = [
    ("SELECT c.owner, c.id, t.since, t.similarity,", "SELECT c.owner, c.id, t.since, t.similarity, t.parent, t.place, t.last_place,"),
    ("    best AS (\n        SELECT w.owner,", "    scored AS MATERIALIZED (\n        SELECT w.parent, w.place, w.last_place, w.owner,"),
    (
        "         ORDER BY score DESC, w.id LIMIT most\n",
        """    ),
    best AS (
        SELECT n.owner, n.id, n.similarity, n.weight,
               n.score + CASE WHEN query = '' THEN 0 ELSE 0.1 END * coalesce(greatest(n.before, n.after), 0) AS score
          FROM (SELECT x.*, CASE WHEN lag(x.last_place) OVER beside >= x.place - 1 THEN lag(x.score) OVER beside END AS before,
                       CASE WHEN lead(x.place) OVER beside <= x.last_place + 1 THEN lead(x.score) OVER beside END AS after
                  FROM scored x WINDOW beside AS (PARTITION BY x.parent ORDER BY x.place, x.id)) n
         ORDER BY score DESC, n.id LIMIT most
""",
    ),
]
PLACES = {
    "passages": "t.conversation_id AS parent, t.first_seq AS place, t.last_seq AS last_place",
    "chunks": "t.document_id AS parent, t.number AS place, t.number AS last_place",
}


def upgrade() -> None:
    """Replace the search functions by the same with other scores."""
    op.execute("GRANT CREATE ON SCHEMA public TO parley_search")
    # The functions belong to `parley_search`, so that role must replace them.
    op.execute("SET LOCAL ROLE parley_search")
    for searched in ("passages", "memories", "chunks"):
        places = PLACES.get(searched)
        changes = [SQUARE, *NEIGHBOURS, (" AS since, t.words,", f" AS since, {places}, t.words,")] if places else [SQUARE]
        pairs = ", ".join(f"ARRAY[$one${old}$one$, $one${new}$one$]" for old, new in changes)
        op.execute(REPLACEMENT.format(function=f"parley_search_{searched}", changes=pairs))
    op.execute("SET LOCAL ROLE NONE")
    op.execute("REVOKE CREATE ON SCHEMA public FROM parley_search")
