"""Monthly budgets of groups: a pool for all members together, and a share for each.

A user is a paying member of one group at most, so it is clear which pool a call is charged to. Reservations of the pool are rows of
`budget_reservations` with the group as their subject, beside those of the user and of the API key.
"""

from alembic import op

revision, down_revision = "0037", "0036"

ME = "NULLIF(current_setting('parley.user_id', true), '')::uuid"

POOLS = f"""
CREATE TABLE group_budgets (
    group_id uuid NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    month date NOT NULL,
    reserved_usd numeric(18, 12) NOT NULL DEFAULT 0,
    spent_usd numeric(18, 12) NOT NULL DEFAULT 0,
    PRIMARY KEY (group_id, month)
);

-- A call that began before its user left the group is settled after.
CREATE FUNCTION parley_has_reservation(which uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM budget_reservations r WHERE r.user_id = {ME} AND r.subject_id = which)
$$;

ALTER TABLE group_budgets ENABLE ROW LEVEL SECURITY;
ALTER TABLE group_budgets FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_migrates ON group_budgets TO parley_owner USING (true) WITH CHECK (true);
CREATE POLICY app_members_spend ON group_budgets TO parley_app
    USING (parley_group_role(group_id) IN ('owner', 'member') OR parley_has_reservation(group_id));
CREATE POLICY background_sweeps ON group_budgets TO parley_background USING (true);
GRANT SELECT, INSERT, UPDATE ON group_budgets TO parley_app;
GRANT SELECT, UPDATE (reserved_usd) ON group_budgets TO parley_background;
GRANT SELECT (name, created_at, monthly_budget_usd, member_budget_usd), UPDATE (monthly_budget_usd, member_budget_usd)
   ON groups TO parley_background;
GRANT SELECT (pays), UPDATE (pays) ON group_members TO parley_background;
"""  # noqa: S608 - constants only


def upgrade() -> None:
    """Create the table of pools and its policies."""
    op.execute(POOLS)
