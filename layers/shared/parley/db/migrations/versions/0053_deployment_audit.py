"""The audit of the deployment: who did what to whose account, from which network. Rows are added and never changed.

The functions' roles may add rows, but neither set their time nor change or delete them. Rows outlive the accounts that they name, by
id only. `parley_forget_audit` is the only way to delete rows, and the policy of its owner admits only rows older than 400 days.
"""

from alembic import op

revision, down_revision = "0053", "0052"

ME = "NULLIF(current_setting('parley.user_id', true), '')::uuid"
TABLE = f"""
CREATE TABLE deployment_audit (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    action text NOT NULL,
    actor text NOT NULL CONSTRAINT deployment_audit_actor_check CHECK (actor IN ('user', 'admin', 'issuer', 'system', 'stranger')),
    actor_id uuid,
    account_id uuid,
    network text,
    outcome text NOT NULL CONSTRAINT deployment_audit_outcome_check CHECK (outcome IN ('done', 'refused')),
    detail jsonb NOT NULL DEFAULT '{{}}'
);
CREATE INDEX deployment_audit_at ON deployment_audit (at);
CREATE INDEX deployment_audit_actor ON deployment_audit (actor_id, id);
CREATE INDEX deployment_audit_account ON deployment_audit (account_id, id);
ALTER TABLE deployment_audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE deployment_audit FORCE ROW LEVEL SECURITY;
CREATE POLICY app_adds ON deployment_audit FOR INSERT TO parley_app
    WITH CHECK (actor <> 'admin' AND coalesce(actor_id, account_id) = {ME} AND coalesce(account_id, actor_id) = {ME});
CREATE POLICY background_adds ON deployment_audit FOR INSERT TO parley_background WITH CHECK (true);
CREATE POLICY background_reads ON deployment_audit FOR SELECT TO parley_background USING (true);
CREATE POLICY owner_reads ON deployment_audit FOR SELECT TO parley_owner USING (true);
CREATE POLICY owner_forgets ON deployment_audit FOR DELETE TO parley_owner USING (at < now() - interval '400 days');
GRANT INSERT (id, action, actor, actor_id, account_id, network, outcome, detail) ON deployment_audit TO parley_app, parley_background;
GRANT SELECT ON deployment_audit TO parley_background;

CREATE FUNCTION parley_forget_audit() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH forgotten AS (DELETE FROM deployment_audit WHERE at < now() - interval '400 days' RETURNING 1) SELECT count(*) FROM forgotten
$$;
REVOKE ALL ON FUNCTION parley_forget_audit() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION parley_forget_audit() TO parley_background;

ALTER TABLE exports ADD COLUMN kind text NOT NULL DEFAULT 'account'
    CONSTRAINT exports_kind_check CHECK (kind IN ('account', 'audit'));
"""  # noqa: S608 - constants only


def upgrade() -> None:
    """Create the table, its policies and the function that forgets old rows; let exports be of the audit, too."""
    op.execute(TABLE)
