"""Prompts: texts with variables under a name, in versions, and shared with groups or everybody.

`parley_prompts` returns the newest versions of the prompts that the transaction's user may use: own ones, those shared with a group of
the user, and those shared with everybody. It is the only way past the rows' policies. The app role cannot change a version.
"""

from alembic import op

revision, down_revision = "0055", "0054"

ME = "NULLIF(current_setting('parley.user_id', true), '')::uuid"

TABLES = """
CREATE TABLE prompts (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    name text NOT NULL,
    version integer NOT NULL DEFAULT 1,
    is_shared boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id),
    CONSTRAINT prompts_name UNIQUE (user_id, name)
);
CREATE INDEX prompts_shared ON prompts (id) WHERE is_shared;

CREATE TABLE prompt_versions (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    prompt_id uuid NOT NULL,
    version integer NOT NULL,
    description text,
    text text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, prompt_id, version),
    FOREIGN KEY (user_id, prompt_id) REFERENCES prompts (user_id, id) ON DELETE CASCADE
);

-- A share ends with the prompt, with the group, and with its owner's membership.
CREATE TABLE prompt_shares (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    prompt_id uuid NOT NULL,
    group_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, prompt_id, group_id),
    FOREIGN KEY (user_id, prompt_id) REFERENCES prompts (user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (user_id, group_id) REFERENCES group_members (user_id, group_id) ON DELETE CASCADE
);
CREATE INDEX prompt_shares_group ON prompt_shares (group_id, user_id, prompt_id);
CREATE INDEX prompt_shares_member ON prompt_shares (user_id, group_id);
"""

RIGHTS = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON {table} TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY app_own_rows ON {table} TO parley_app
    USING (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid);
GRANT {rights} ON {table} TO parley_app;
"""
GRANTED = {
    "prompts": "SELECT, INSERT, UPDATE, DELETE",
    "prompt_versions": "SELECT, INSERT, DELETE",
    "prompt_shares": "SELECT, INSERT, DELETE",
}

FUNCTION = f"""
CREATE FUNCTION parley_prompts(wanted uuid, named text) RETURNS TABLE (
    user_id uuid, id uuid, name text, is_shared boolean, version integer, description text, text text, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE ROWS 20 SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH usable AS (
        SELECT p.user_id, p.id FROM prompts p WHERE p.user_id = {ME} AND (wanted IS NULL OR p.id = wanted)
         UNION
        SELECT p.user_id, p.id FROM prompts p WHERE p.is_shared AND {ME} IS NOT NULL AND (wanted IS NULL OR p.id = wanted)
         UNION
        SELECT s.user_id, s.prompt_id FROM group_members m JOIN prompt_shares s ON s.group_id = m.group_id
         WHERE m.user_id = {ME} AND (wanted IS NULL OR s.prompt_id = wanted)
    )
    SELECT p.user_id, p.id, p.name, p.is_shared, v.version, v.description, v.text, v.created_at
      FROM usable JOIN prompts p ON p.user_id = usable.user_id AND p.id = usable.id
      JOIN prompt_versions v ON v.user_id = p.user_id AND v.prompt_id = p.id AND v.version = p.version
      JOIN users u ON u.id = p.user_id
     WHERE u.disabled_at IS NULL AND (named IS NULL OR p.name = named)
$$;
REVOKE ALL ON FUNCTION parley_prompts(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION parley_prompts(uuid, text) TO parley_app;
"""  # noqa: S608 - constants only


def upgrade() -> None:
    """Create the tables, their policies, and the function that returns the prompts that a user may use."""
    op.execute(TABLES)
    for table, rights in GRANTED.items():
        op.execute(RIGHTS.format(table=table, rights=rights))
    op.execute(FUNCTION)
