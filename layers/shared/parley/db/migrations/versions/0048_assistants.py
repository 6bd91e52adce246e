"""Assistants: named settings of conversations, in versions, and shared with groups or everybody.

`parley_assistants` returns the newest versions of the assistants that the transaction's user may use: own ones, those shared with a
group of the user, and those shared with everybody. It is the only way past the rows' policies. The app role cannot change a version.
"""

from alembic import op

revision, down_revision = "0048", "0047"

ME = "NULLIF(current_setting('parley.user_id', true), '')::uuid"

TABLES = """
CREATE TABLE assistants (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    version integer NOT NULL DEFAULT 1,
    is_shared boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id)
);
CREATE INDEX assistants_shared ON assistants (id) WHERE is_shared;

CREATE TABLE assistant_versions (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    assistant_id uuid NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    picture text,
    description text,
    instructions text NOT NULL,
    model text,
    tools jsonb NOT NULL DEFAULT 'true'::jsonb,
    documents jsonb NOT NULL DEFAULT 'false'::jsonb,
    memory text NOT NULL CONSTRAINT assistant_versions_memory_check CHECK (memory IN ('all', 'none')),
    starters jsonb NOT NULL DEFAULT '[]'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, assistant_id, version),
    FOREIGN KEY (user_id, assistant_id) REFERENCES assistants (user_id, id) ON DELETE CASCADE
);

-- A share ends with the assistant, with the group, and with its owner's membership.
CREATE TABLE assistant_shares (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    assistant_id uuid NOT NULL,
    group_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, assistant_id, group_id),
    FOREIGN KEY (user_id, assistant_id) REFERENCES assistants (user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (user_id, group_id) REFERENCES group_members (user_id, group_id) ON DELETE CASCADE
);
CREATE INDEX assistant_shares_group ON assistant_shares (group_id, user_id, assistant_id);
CREATE INDEX assistant_shares_member ON assistant_shares (user_id, group_id);

-- No foreign key: the assistant may belong to another user, and its conversations stay when it is deleted.
ALTER TABLE conversations ADD COLUMN assistant_id uuid;
ALTER TABLE conversations ADD COLUMN assistant_version integer;
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
    "assistants": "SELECT, INSERT, UPDATE, DELETE",
    "assistant_versions": "SELECT, INSERT, DELETE",
    "assistant_shares": "SELECT, INSERT, DELETE",
}

FUNCTION = f"""
CREATE FUNCTION parley_assistants(wanted uuid) RETURNS TABLE (
    user_id uuid, id uuid, is_shared boolean, version integer, name text, picture text, description text, instructions text, model text,
    tools jsonb, documents jsonb, memory text, starters jsonb, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE ROWS 20 SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH usable AS (
        SELECT a.user_id, a.id FROM assistants a WHERE a.user_id = {ME} AND (wanted IS NULL OR a.id = wanted)
         UNION
        SELECT a.user_id, a.id FROM assistants a WHERE a.is_shared AND {ME} IS NOT NULL AND (wanted IS NULL OR a.id = wanted)
         UNION
        SELECT s.user_id, s.assistant_id FROM group_members m JOIN assistant_shares s ON s.group_id = m.group_id
         WHERE m.user_id = {ME} AND (wanted IS NULL OR s.assistant_id = wanted)
    )
    SELECT a.user_id, a.id, a.is_shared, v.version, v.name, v.picture, v.description, v.instructions, v.model,
           v.tools, v.documents, v.memory, v.starters, v.created_at
      FROM usable JOIN assistants a ON a.user_id = usable.user_id AND a.id = usable.id
      JOIN assistant_versions v ON v.user_id = a.user_id AND v.assistant_id = a.id AND v.version = a.version
      JOIN users u ON u.id = a.user_id
     WHERE u.disabled_at IS NULL
$$;
REVOKE ALL ON FUNCTION parley_assistants(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION parley_assistants(uuid) TO parley_app;
"""  # noqa: S608 - constants only


def upgrade() -> None:
    """Create the tables, their policies, and the function that returns the assistants that a user may use."""
    op.execute(TABLES)
    for table, rights in GRANTED.items():
        op.execute(RIGHTS.format(table=table, rights=rights))
    op.execute(FUNCTION)
