"""Metering: usage, budgets, rate limits, and the circuit breakers of the providers.

A row of `usage` outlives its conversation, so it refers to the turn and the API key without foreign keys. In `budgets`,
`budget_reservations` and `rate_limits` the subject is the user or one of the user's API keys. `breakers` belongs to no user; it
has only names of providers, counts and times.
"""

from alembic import op

revision, down_revision = "0003", "0002"

TABLES = """
ALTER TABLE api_keys
    ADD COLUMN rate_per_minute integer CONSTRAINT api_keys_rate_check CHECK (rate_per_minute > 0),
    ADD COLUMN monthly_budget_usd numeric(12, 6) CONSTRAINT api_keys_budget_check CHECK (monthly_budget_usd >= 0);

CREATE TABLE usage (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    turn_id uuid,
    api_key_id uuid,
    purpose text NOT NULL CONSTRAINT usage_purpose_check CHECK (purpose IN ('chat', 'summary', 'title', 'facts', 'embedding')),
    model text NOT NULL,
    provider text NOT NULL,
    input_tokens integer NOT NULL DEFAULT 0,
    output_tokens integer NOT NULL DEFAULT 0,
    cached_input_tokens integer NOT NULL DEFAULT 0,
    cost_usd numeric(18, 12) NOT NULL DEFAULT 0,
    is_estimate boolean NOT NULL DEFAULT false,
    status text NOT NULL CONSTRAINT usage_status_check CHECK (status IN ('completed', 'stopped', 'interrupted', 'failed')),
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id)
);
CREATE INDEX usage_time ON usage (user_id, at);

CREATE TABLE budgets (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    subject_id uuid NOT NULL,
    month date NOT NULL,
    reserved_usd numeric(18, 12) NOT NULL DEFAULT 0,
    spent_usd numeric(18, 12) NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, subject_id, month)
);

CREATE TABLE budget_reservations (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    subject_id uuid NOT NULL,
    id uuid NOT NULL,
    month date NOT NULL,
    amount_usd numeric(18, 12) NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, subject_id, id)
);
CREATE INDEX budget_reservations_age ON budget_reservations (expires_at);

CREATE TABLE rate_limits (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    subject_id uuid NOT NULL,
    free_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, subject_id)
);

CREATE TABLE breakers (
    provider text PRIMARY KEY,
    state text NOT NULL DEFAULT 'closed' CONSTRAINT breakers_state_check CHECK (state IN ('closed', 'open', 'half_open')),
    calls integer NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    in_a_row integer NOT NULL DEFAULT 0,
    window_at timestamptz,
    opened_at timestamptz,
    probe_at timestamptz
);
"""

ME = "NULLIF(current_setting('parley.user_id', true), '')::uuid"

# The app role's rights to its user's own rows.
RIGHTS = {
    "usage": "SELECT, INSERT",
    "budgets": "SELECT, INSERT, UPDATE",
    "budget_reservations": "SELECT, INSERT, UPDATE, DELETE",
    "rate_limits": "SELECT, INSERT, UPDATE",
}

BREAKERS = """
GRANT SELECT, INSERT, UPDATE ON breakers TO parley_app;
CREATE POLICY app_shares ON breakers TO parley_app USING (true) WITH CHECK (true);
"""

BACKGROUND = """
REVOKE SELECT (user_id, model, input_tokens, output_tokens, cost_usd, started_at) ON turns FROM parley_background;
DROP POLICY background_counts_usage ON turns;
GRANT SELECT (user_id, turn_id, model, input_tokens, output_tokens, cost_usd, at) ON usage TO parley_background;
CREATE POLICY background_counts_usage ON usage FOR SELECT TO parley_background USING (true);

GRANT SELECT (user_id, subject_id, month, amount_usd, expires_at), DELETE ON budget_reservations TO parley_background;
CREATE POLICY background_sweeps ON budget_reservations TO parley_background USING (true);
GRANT SELECT (user_id, subject_id, month, reserved_usd), UPDATE (reserved_usd) ON budgets TO parley_background;
CREATE POLICY background_frees ON budgets TO parley_background USING (true) WITH CHECK (true);
GRANT SELECT (free_at), DELETE ON rate_limits TO parley_background;
CREATE POLICY background_sweeps ON rate_limits TO parley_background USING (true);
"""


def upgrade() -> None:
    """Create the tables and policies."""
    op.execute(TABLES)
    for table in (*RIGHTS, "breakers"):
        op.execute(
            f"""
            ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
            ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
            CREATE POLICY owner_migrates ON {table} TO parley_owner USING (true) WITH CHECK (true);
            """
        )
    for table, rights in RIGHTS.items():
        op.execute(
            f"""
            CREATE POLICY app_own_rows ON {table} TO parley_app USING (user_id = {ME}) WITH CHECK (user_id = {ME});
            GRANT {rights} ON {table} TO parley_app;
            """
        )
    op.execute(BREAKERS)
    op.execute(BACKGROUND)
