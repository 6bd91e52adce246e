"""Accounts: sign-ups, one-time codes, API keys, the audit log, exports, the outbox and the login throttle.

`signups`, `invites` and `guesses` belong to no user; only the background role can use them, except that the app role may empty
login buckets. The other tables are tenant tables, as in 0001.
"""

from alembic import op

revision, down_revision = "0002", "0001"

TABLES = """
ALTER TABLE users
    ADD COLUMN disabled_at timestamptz,
    ADD COLUMN monthly_budget_usd numeric(12, 6) CONSTRAINT users_budget_check CHECK (monthly_budget_usd >= 0);

ALTER TABLE sessions
    ADD COLUMN address text,
    ADD COLUMN user_agent text;

CREATE TABLE api_keys (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (user_id, id)
);

CREATE TABLE one_time_codes (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash bytea NOT NULL,
    purpose text NOT NULL CONSTRAINT one_time_codes_purpose_check CHECK (purpose IN ('reset_password', 'change_email')),
    new_email text,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (user_id, hash)
);

CREATE TABLE audit_events (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    event text NOT NULL,
    address text,
    user_agent text,
    detail jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (user_id, id)
);

CREATE TABLE exports (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    status text NOT NULL DEFAULT 'queued' CONSTRAINT exports_status_check CHECK (status IN ('queued', 'ready', 'failed')),
    file_key text,
    created_at timestamptz NOT NULL DEFAULT now(),
    ready_at timestamptz,
    PRIMARY KEY (user_id, id)
);

CREATE TABLE outbox (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    topic text NOT NULL,
    subject_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, id)
);
CREATE INDEX outbox_due ON outbox (due_at);

CREATE TABLE idempotency_keys (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    route text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    answer jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, route, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

CREATE TABLE signups (
    id uuid PRIMARY KEY,
    email text NOT NULL,
    display_name text,
    password_hash text NOT NULL,
    code_hash bytea,
    invite_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX signups_email ON signups (email);
CREATE INDEX signups_age ON signups (expires_at);

CREATE TABLE invites (
    id uuid PRIMARY KEY,
    hash bytea NOT NULL UNIQUE,
    email text,
    created_by uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);

CREATE TABLE guesses (
    key bytea PRIMARY KEY,
    free_at timestamptz NOT NULL,
    in_a_row integer NOT NULL DEFAULT 1
);
CREATE INDEX guesses_age ON guesses (free_at);
"""

ME = "NULLIF(current_setting('parley.user_id', true), '')::uuid"

# The app role's rights to its user's own rows.
RIGHTS = {
    "api_keys": "SELECT, INSERT, UPDATE",
    "one_time_codes": "SELECT, INSERT, UPDATE",
    "audit_events": "SELECT, INSERT",
    "exports": "SELECT, INSERT, UPDATE",
    "outbox": "SELECT, INSERT, DELETE",
    "idempotency_keys": "SELECT, INSERT, UPDATE, DELETE",
}
BACKGROUND_ONLY = ("signups", "invites", "guesses")

# Users may change their own row, but not their role or budget.
APP = """
REVOKE UPDATE ON users FROM parley_app;
GRANT UPDATE (email, display_name, memory_enabled, default_model, disabled_at) ON users TO parley_app;
"""

BACKGROUND = """
GRANT SELECT, INSERT, UPDATE, DELETE ON signups, guesses TO parley_background;
-- A correct password empties the account's buckets in the transaction that starts the session. Buckets hold hashes and times only.
GRANT SELECT, DELETE ON guesses TO parley_app;
CREATE POLICY app_forgets ON guesses TO parley_app USING (true);
GRANT SELECT, INSERT, DELETE ON invites TO parley_background;

GRANT SELECT (display_name, role, created_at, disabled_at, monthly_budget_usd) ON users TO parley_background;
GRANT UPDATE (role, disabled_at, monthly_budget_usd), DELETE ON users TO parley_background;
CREATE POLICY background_administers ON users FOR UPDATE TO parley_background USING (true) WITH CHECK (true);
CREATE POLICY background_erases ON users FOR DELETE TO parley_background USING (true);

GRANT SELECT (user_id, model, input_tokens, output_tokens, cost_usd, started_at) ON turns TO parley_background;
CREATE POLICY background_counts_usage ON turns FOR SELECT TO parley_background USING (true);

GRANT SELECT (user_id, id, address, created_at, expires_at, ended_at), UPDATE (ended_at), DELETE ON sessions TO parley_background;
CREATE POLICY background_finds_sessions ON sessions FOR SELECT TO parley_background USING (true);
CREATE POLICY background_ends_sessions ON sessions FOR UPDATE TO parley_background USING (true) WITH CHECK (true);

GRANT SELECT, UPDATE (due_at, attempts), DELETE ON outbox TO parley_background;
CREATE POLICY background_works_off ON outbox TO parley_background USING (true);

GRANT INSERT, SELECT (user_id, at), DELETE ON audit_events TO parley_background;
CREATE POLICY background_audits ON audit_events TO parley_background USING (true) WITH CHECK (true);

GRANT SELECT (user_id, created_at), DELETE ON idempotency_keys TO parley_background;
CREATE POLICY background_sweeps ON idempotency_keys TO parley_background USING (true);
GRANT SELECT (user_id, expires_at, revoked_at), DELETE ON api_keys TO parley_background;
CREATE POLICY background_sweeps ON api_keys TO parley_background USING (true);
GRANT SELECT (user_id, ready_at), DELETE ON exports TO parley_background;
CREATE POLICY background_sweeps ON exports TO parley_background USING (true);
GRANT SELECT (user_id, expires_at), DELETE ON one_time_codes TO parley_background;
CREATE POLICY background_sweeps ON one_time_codes TO parley_background USING (true);
CREATE POLICY background_sweeps ON sessions FOR DELETE TO parley_background USING (true);
"""


def upgrade() -> None:
    """Create the tables and policies."""
    op.execute(TABLES)
    for table in (*RIGHTS, *BACKGROUND_ONLY):
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
    for table in BACKGROUND_ONLY:
        op.execute(f"CREATE POLICY background_keeps ON {table} TO parley_background USING (true) WITH CHECK (true);")
    op.execute(APP)
    op.execute(BACKGROUND)
