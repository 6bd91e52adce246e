"""Users' tool settings, and remote MCP servers.

A server's `headers` are encrypted with a key that the database does not have. `mcp_listings` belongs to no user: it holds the
tools found on the deployment's servers.
"""

from alembic import op

revision, down_revision = "0007", "0006"

TABLES = """
CREATE TABLE tool_settings (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name text NOT NULL,
    is_enabled boolean,
    requires_approval boolean,
    PRIMARY KEY (user_id, name)
);

CREATE TABLE mcp_servers (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    name text NOT NULL,
    url text NOT NULL,
    headers bytea,
    tools jsonb NOT NULL DEFAULT '[]',
    listed_at timestamptz,
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id),
    CONSTRAINT mcp_servers_name UNIQUE (user_id, name)
);

CREATE TABLE mcp_listings (
    name text PRIMARY KEY,
    tools jsonb NOT NULL DEFAULT '[]',
    listed_at timestamptz,
    error text
);
"""

ME = "NULLIF(current_setting('parley.user_id', true), '')::uuid"

LISTINGS = """
GRANT SELECT, INSERT, UPDATE ON mcp_listings TO parley_app;
CREATE POLICY app_shares ON mcp_listings TO parley_app USING (true) WITH CHECK (true);
"""


def upgrade() -> None:
    """Create the tables and policies."""
    op.execute(TABLES)
    for table in ("tool_settings", "mcp_servers", "mcp_listings"):
        op.execute(
            f"""
            ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
            ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
            CREATE POLICY owner_migrates ON {table} TO parley_owner USING (true) WITH CHECK (true);
            """
        )
    for table in ("tool_settings", "mcp_servers"):
        op.execute(
            f"""
            CREATE POLICY app_own_rows ON {table} TO parley_app USING (user_id = {ME}) WITH CHECK (user_id = {ME});
            GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO parley_app;
            """
        )
    op.execute(LISTINGS)
