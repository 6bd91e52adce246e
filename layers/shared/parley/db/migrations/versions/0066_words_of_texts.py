"""The words of a text are found in half the time, and once only.

PostgreSQL computes all generated columns of a row again at each UPDATE if the table has a trigger before it, so a text's words were also
computed when its vector arrived: as much work as everything else of that statement. A trigger writes the same values, at the first
insertion and whenever the text changes. `parley_words` is written in PL/pgSQL, which needs no query for each call, and leaves out what
cannot change a text. Its results are the same, so nothing is computed again, and the previous release may write and search.
"""

from alembic import op

revision, down_revision = "0066", "0065"

# An ASCII text is its own normal form, and a text without the marks of a compound name has none.
WORDS = r"""
CREATE OR REPLACE FUNCTION parley_words(body text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t text := left(body, 200000);
    names text := '';
BEGIN
    IF octet_length(t) <> length(t) THEN
        t := normalize(regexp_replace(normalize(t, NFKD), '[\u0300-\u036f]', '', 'g'), NFKC);
    END IF;
    IF t ~ '[[:alnum:]]_+[[:alnum:]]|[[:lower:]][[:upper:]]' THEN
        SELECT coalesce(string_agg(replace(compound[1], '_', ''), ' '), '') INTO names
          FROM regexp_matches(t, '(\w*(?:[[:alnum:]]_+[[:alnum:]]|[[:lower:]][[:upper:]])\w*)', 'g') AS compound;
    END IF;
    RETURN to_tsvector('pg_catalog.english'::regconfig, regexp_replace(regexp_replace(regexp_replace(regexp_replace(t,
               '([[:lower:][:digit:]])([[:upper:]])', '\1 \2', 'g'),
               '([[:upper:]])([[:upper:]][[:lower:]])', '\1 \2', 'g'),
               '([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])', ' \1 ', 'g'),
               '[^[:alnum:]]+', ' ', 'g'))
        || to_tsvector('pg_catalog.simple'::regconfig, names);
END
$$;
"""
SET_WORDS = """
CREATE OR REPLACE FUNCTION parley_set_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.words := public.parley_words(NEW.text);
    RETURN NEW;
END
$$;
CREATE OR REPLACE FUNCTION parley_set_chunk_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.words := public.parley_words(coalesce(NEW.description || ' ', '') || NEW.heading || ' ' || NEW.text);
    RETURN NEW;
END
$$;
"""
COLUMN = """
ALTER TABLE {table} ALTER COLUMN words DROP EXPRESSION IF EXISTS;
CREATE OR REPLACE TRIGGER set_words BEFORE INSERT OR UPDATE OF {of}, words ON {table} FOR EACH ROW EXECUTE FUNCTION {function}();
"""
TABLES = {
    "passages": ("text", "parley_set_words"),
    "memories": ("text", "parley_set_words"),
    "chunks": ("description, heading, text", "parley_set_chunk_words"),
}


def upgrade() -> None:
    """Replace the function, and the generated columns by columns that a trigger writes."""
    op.execute(WORDS)
    op.execute(SET_WORDS)
    for table, (of, function) in TABLES.items():
        op.execute(COLUMN.format(table=table, of=of, function=function))
