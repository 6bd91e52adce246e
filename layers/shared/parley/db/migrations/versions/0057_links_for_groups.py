"""Shared links for the members of a group.

`parley_shared_link` shows such a link to the members of its group only. The foreign key ends the link with its group, and when its owner
leaves the group. The next migration validates the constraints.
"""

from alembic import op

revision, down_revision = "0057", "0056"

TABLE = """
ALTER TABLE shared_links ADD COLUMN group_id uuid;
ALTER TABLE shared_links DROP CONSTRAINT shared_links_audience_check;
ALTER TABLE shared_links ADD CONSTRAINT shared_links_audience_check
    CHECK (audience IN ('public', 'signed_in', 'group') AND (audience = 'group') = (group_id IS NOT NULL)) NOT VALID;
ALTER TABLE shared_links ADD CONSTRAINT shared_links_group_fkey
    FOREIGN KEY (user_id, group_id) REFERENCES group_members (user_id, group_id) ON DELETE CASCADE NOT VALID;
"""

FUNCTION = """
CREATE OR REPLACE FUNCTION parley_shared_link(wanted bytea)
RETURNS TABLE (audience text, title text, messages jsonb, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT l.audience, l.title, l.messages, l.created_at
      FROM shared_links l JOIN users u ON u.id = l.user_id
     WHERE l.token_hash = wanted AND l.expires_at > now() AND u.disabled_at IS NULL
       AND (l.group_id IS NULL OR EXISTS (
           SELECT FROM group_members m
            WHERE m.group_id = l.group_id AND m.user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid))
$$;
"""


def upgrade() -> None:
    """Add the group, and let the function look for membership."""
    op.execute(TABLE)
    op.execute(FUNCTION)
