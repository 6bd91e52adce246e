"""Groups, their members and invitations, and the documents that members share with them.

A member sees the groups they are in and, of other members' rows, membership and shared documents only. The policies call
functions instead of containing subqueries: a policy that read its own table would recurse, and Citus refuses subqueries in the
policies of distributed tables. See docs/adr/0047-groups.md.
"""

from alembic import op

revision, down_revision = "0036", "0029"

ME = "NULLIF(current_setting('parley.user_id', true), '')::uuid"

TABLES = """
CREATE TABLE groups (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    monthly_budget_usd numeric(12, 6),
    member_budget_usd numeric(12, 6),
    CONSTRAINT groups_budget_check CHECK (monthly_budget_usd >= 0 AND member_budget_usd >= 0)
);

CREATE TABLE group_members (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    group_id uuid NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    role text NOT NULL CONSTRAINT group_members_role_check CHECK (role IN ('owner', 'member')),
    created_at timestamptz NOT NULL DEFAULT now(),
    pays boolean NOT NULL DEFAULT false,
    PRIMARY KEY (user_id, group_id)
);
-- A member of a group with a budget pays from it, and a user is a member of one such group at most.
CREATE UNIQUE INDEX group_members_paying ON group_members (user_id) WHERE pays;
CREATE INDEX group_members_group ON group_members (group_id, created_at, user_id);

CREATE TABLE group_invitations (
    group_id uuid NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    email text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (group_id, email)
);
CREATE INDEX group_invitations_email ON group_invitations (email);
CREATE INDEX group_invitations_age ON group_invitations (created_at);

-- A share ends with the document, with the group, and with its owner's membership.
CREATE TABLE document_shares (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    document_id uuid NOT NULL,
    group_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, document_id, group_id),
    FOREIGN KEY (user_id, document_id) REFERENCES documents (user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (user_id, group_id) REFERENCES group_members (user_id, group_id) ON DELETE CASCADE
);
CREATE INDEX document_shares_group ON document_shares (group_id, user_id, document_id);
CREATE INDEX document_shares_member ON document_shares (user_id, group_id);
"""

READS = """
GRANT SELECT (user_id, group_id, role) ON group_members TO parley_search;
GRANT SELECT (group_id, email) ON group_invitations TO parley_search;
GRANT SELECT (user_id, document_id, group_id) ON document_shares TO parley_search;
GRANT SELECT (id, email, display_name) ON users TO parley_search;
CREATE POLICY search_reads ON group_members FOR SELECT TO parley_search USING (true);
CREATE POLICY search_reads ON group_invitations FOR SELECT TO parley_search USING (true);
CREATE POLICY search_reads ON document_shares FOR SELECT TO parley_search USING (true);
CREATE POLICY search_reads ON users FOR SELECT TO parley_search USING (true);
"""

# A group without members is one that its founder has just created: `groups.add` stores both rows in one transaction.
FUNCTIONS = f"""
CREATE FUNCTION parley_group_role(which uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT coalesce(
           (SELECT m.role FROM group_members m WHERE m.user_id = {ME} AND m.group_id = which),
           (SELECT 'invited' FROM users u JOIN group_invitations i ON i.email = u.email AND i.group_id = which WHERE u.id = {ME}),
           (SELECT 'founder' WHERE {ME} IS NOT NULL AND NOT EXISTS (SELECT FROM group_members m WHERE m.group_id = which)))
$$;

CREATE FUNCTION parley_group_documents() RETURNS TABLE (user_id uuid, document_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE ROWS 20 SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT DISTINCT s.user_id, s.document_id
      FROM group_members m JOIN document_shares s ON s.group_id = m.group_id
     WHERE m.user_id = {ME} AND s.user_id <> m.user_id
$$;

CREATE FUNCTION parley_reads_document(owner uuid, document uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM document_shares s JOIN group_members m ON m.group_id = s.group_id AND m.user_id = {ME}
                    WHERE s.user_id = owner AND s.document_id = document)
$$;

CREATE FUNCTION parley_fellows() RETURNS TABLE (id uuid, email text, display_name text)
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE ROWS 20 SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT u.id, u.email, u.display_name FROM users u
     WHERE u.id IN (SELECT f.user_id FROM group_members m JOIN group_members f ON f.group_id = m.group_id WHERE m.user_id = {ME})
$$;

REVOKE ALL ON FUNCTION parley_group_role, parley_group_documents, parley_reads_document, parley_fellows FROM PUBLIC;
GRANT EXECUTE ON FUNCTION parley_group_role, parley_group_documents, parley_reads_document, parley_fellows TO parley_app;
"""  # noqa: S608 - constants only

RIGHTS = f"""
CREATE FUNCTION parley_my_email() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT u.email FROM users u WHERE u.id = {ME}
$$;

ALTER TABLE groups ENABLE ROW LEVEL SECURITY;
ALTER TABLE groups FORCE ROW LEVEL SECURITY;
ALTER TABLE group_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE group_members FORCE ROW LEVEL SECURITY;
ALTER TABLE group_invitations ENABLE ROW LEVEL SECURITY;
ALTER TABLE group_invitations FORCE ROW LEVEL SECURITY;
ALTER TABLE document_shares ENABLE ROW LEVEL SECURITY;
ALTER TABLE document_shares FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON groups TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY owner_migrates ON group_members TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY owner_migrates ON group_invitations TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY owner_migrates ON document_shares TO parley_owner USING (true) WITH CHECK (true);

CREATE POLICY app_members_read ON groups FOR SELECT TO parley_app USING (parley_group_role(id) IN ('owner', 'member', 'invited'));
CREATE POLICY app_users_found ON groups FOR INSERT TO parley_app WITH CHECK ({ME} IS NOT NULL);
CREATE POLICY app_owners_rename ON groups FOR UPDATE TO parley_app USING (parley_group_role(id) = 'owner');
CREATE POLICY app_owners_delete ON groups FOR DELETE TO parley_app USING (parley_group_role(id) = 'owner');
GRANT SELECT, INSERT, UPDATE (name), DELETE ON groups TO parley_app;

CREATE POLICY app_members_read ON group_members FOR SELECT TO parley_app
    USING (user_id = {ME} OR parley_group_role(group_id) IN ('owner', 'member'));
CREATE POLICY app_users_join ON group_members FOR INSERT TO parley_app
    WITH CHECK (user_id = {ME} AND (role = 'member' AND parley_group_role(group_id) = 'invited'
                                    OR role = 'owner' AND parley_group_role(group_id) = 'founder'));
CREATE POLICY app_owners_change ON group_members FOR UPDATE TO parley_app USING (parley_group_role(group_id) = 'owner');
CREATE POLICY app_owners_remove ON group_members FOR DELETE TO parley_app USING (user_id = {ME} OR parley_group_role(group_id) = 'owner');
GRANT SELECT, INSERT, UPDATE (role), DELETE ON group_members TO parley_app;

CREATE POLICY app_owners_invite ON group_invitations TO parley_app USING (parley_group_role(group_id) = 'owner');
CREATE POLICY app_invited_read ON group_invitations FOR SELECT TO parley_app USING (email = parley_my_email());
CREATE POLICY app_invited_answer ON group_invitations FOR DELETE TO parley_app USING (email = parley_my_email());
GRANT SELECT, INSERT, DELETE ON group_invitations TO parley_app;

CREATE POLICY app_own_rows ON document_shares TO parley_app USING (user_id = {ME}) WITH CHECK (user_id = {ME});
GRANT SELECT, INSERT, DELETE ON document_shares TO parley_app;

-- PostgreSQL joins policies by OR in the reverse order of their names: this one comes last, and is not asked about the user's own rows.
CREATE POLICY app_group_rows ON documents FOR SELECT TO parley_app USING (parley_reads_document(user_id, id));
CREATE POLICY app_group_rows ON chunks FOR SELECT TO parley_app USING (parley_reads_document(user_id, document_id));

GRANT SELECT (id), DELETE ON groups TO parley_background;
GRANT SELECT (user_id, group_id, role, created_at), UPDATE (role) ON group_members TO parley_background;
GRANT SELECT (email, created_at), DELETE ON group_invitations TO parley_background;
CREATE POLICY background_erases ON groups TO parley_background USING (true);
CREATE POLICY background_erases ON group_members TO parley_background USING (true);
CREATE POLICY background_erases ON group_invitations TO parley_background USING (true);
"""  # noqa: S608 - constants only

# The chunks of a document that is shared with a group stay under their owner's key: only the list of readable documents grows, so
# sharing rewrites no chunk, and unsharing takes effect in the next statement.
REPLACEMENT = """
DO $$
DECLARE
    definition text := pg_get_functiondef('parley_search_chunks'::regproc);
    change text[];
BEGIN
    FOREACH change SLICE 1 IN ARRAY ARRAY[{changes}] LOOP
        IF length(definition) - length(replace(definition, change[1], '')) <> length(change[1]) THEN
            RAISE EXCEPTION 'parley_search_chunks has not once %', change[1];
        END IF;
        definition := replace(definition, change[1], change[2]);
    END LOOP;
    EXECUTE definition;
END
$$
"""
CHANGES = [
    (
        "    owners AS MATERIALIZED (\n",
        """    of_groups AS MATERIALIZED (
        SELECT g.user_id, g.document_id FROM parley_group_documents() g
    ),
    owners AS MATERIALIZED (
""",
    ),
    (
        "         WHERE me.id IS NOT NULL\n",
        "         WHERE me.id IS NOT NULL\n         UNION ALL\n        SELECT DISTINCT g.user_id FROM of_groups g\n",
    ),
    (
        "(d.is_shared AND me.id IS NOT NULL OR d.user_id = me.id)\n",
        """(d.is_shared AND me.id IS NOT NULL OR d.user_id = me.id)
         UNION ALL
        SELECT d.user_id, d.id, d.title, d.chunks, d.user_id
          FROM of_groups g JOIN documents d ON d.user_id = g.user_id AND d.id = g.document_id
         WHERE d.status = 'ready' AND NOT d.is_shared AND (only_in IS NULL OR d.id = ANY (only_in))
""",
    ),
]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def upgrade() -> None:
    """Create the tables, functions and policies, and let the search of chunks find documents of groups."""
    op.execute(TABLES)
    op.execute(READS)
    op.execute("GRANT CREATE ON SCHEMA public TO parley_search")
    # The functions belong to `parley_search`, so that role must create and replace them.
    op.execute("SET LOCAL ROLE parley_search")
    op.execute(FUNCTIONS)
    changes = ", ".join(f"ARRAY[{_quoted(before)}, {_quoted(after)}]" for before, after in CHANGES)
    op.execute(REPLACEMENT.format(changes=changes))
    op.execute("SET LOCAL ROLE NONE")
    op.execute("REVOKE CREATE ON SCHEMA public FROM parley_search")
    op.execute(RIGHTS)
