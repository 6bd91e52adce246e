"""SCIM: accounts as an identity provider knows them, its tokens, and groups that it manages.

A managed group belongs to the deployment: it has no owner, so no user is its founder either. `removed_at` is when the identity
provider deleted the user; the account is disabled then, and keeps its data.
"""

from alembic import op

revision, down_revision = "0056", "0055"

ME = "NULLIF(current_setting('parley.user_id', true), '')::uuid"

TABLES = """
CREATE TABLE scim_users (
    user_id uuid NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    user_name text NOT NULL,
    external_id text,
    given_name text,
    family_name text,
    updated_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz
);
CREATE INDEX scim_users_name ON scim_users (lower(user_name));
CREATE INDEX scim_users_external ON scim_users (external_id);

CREATE TABLE scim_tokens (
    id uuid PRIMARY KEY,
    hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz
);

ALTER TABLE groups
    ADD COLUMN is_managed boolean NOT NULL DEFAULT false,
    ADD COLUMN external_id text,
    ADD COLUMN updated_at timestamptz;
"""

RIGHTS = f"""
ALTER TABLE scim_users ENABLE ROW LEVEL SECURITY;
ALTER TABLE scim_users FORCE ROW LEVEL SECURITY;
ALTER TABLE scim_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE scim_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON scim_users TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY owner_migrates ON scim_tokens TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY app_own_rows ON scim_users TO parley_app USING (user_id = {ME}) WITH CHECK (user_id = {ME});
GRANT SELECT, INSERT, UPDATE ON scim_users TO parley_app;

CREATE POLICY background_provisions ON scim_users FOR SELECT TO parley_background USING (true);
CREATE POLICY background_provisions ON scim_tokens TO parley_background USING (true) WITH CHECK (true);
GRANT SELECT ON scim_users TO parley_background;
GRANT SELECT, INSERT, UPDATE (expires_at, last_used_at), DELETE ON scim_tokens TO parley_background;
GRANT SELECT (is_managed, external_id, updated_at), UPDATE (name, external_id, updated_at) ON groups TO parley_background;
GRANT INSERT (id, name, is_managed, external_id) ON groups TO parley_background;
GRANT INSERT (user_id, group_id, role, pays), DELETE ON group_members TO parley_background;

ALTER POLICY app_users_found ON groups WITH CHECK ({ME} IS NOT NULL AND NOT is_managed);
GRANT SELECT (id, is_managed) ON groups TO parley_search;
CREATE POLICY search_reads ON groups FOR SELECT TO parley_search USING (true);
"""

# A group without members is one that its founder has just created, unless it is managed.
FUNCTION = f"""
CREATE OR REPLACE FUNCTION parley_group_role(which uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT coalesce(
           (SELECT m.role FROM group_members m WHERE m.user_id = {ME} AND m.group_id = which),
           (SELECT 'invited' FROM users u JOIN group_invitations i ON i.email = u.email AND i.group_id = which WHERE u.id = {ME}),
           (SELECT 'founder' WHERE {ME} IS NOT NULL AND NOT EXISTS (SELECT FROM group_members m WHERE m.group_id = which)
                               AND NOT EXISTS (SELECT FROM groups g WHERE g.id = which AND g.is_managed)))
$$;
"""  # noqa: S608 - constants only


def upgrade() -> None:
    """Create the tables with their policies, and let the identity provider own groups."""
    op.execute(TABLES)
    op.execute(RIGHTS)
    op.execute("GRANT CREATE ON SCHEMA public TO parley_search")
    # The function belongs to `parley_search`, so that role must replace it.
    op.execute("SET LOCAL ROLE parley_search")
    op.execute(FUNCTION)
    op.execute("SET LOCAL ROLE NONE")
    op.execute("REVOKE CREATE ON SCHEMA public FROM parley_search")
