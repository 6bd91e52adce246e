"""Sign-in by OpenID Connect: identities at issuers, logins in progress, and logout tokens that were used.

A session that an issuer started names the issuer and the issuer's session, by which the issuer ends it. `verified_email` is the
address that the account's owner has proven; accounts from before this migration have none.
"""

from alembic import op

from parley.db.migrations.operations import create_index

revision, down_revision = "0040", "0039"

# Building the index ends the transaction, so this part may run twice.
SESSIONS = """
ALTER TABLE sessions
    ADD COLUMN IF NOT EXISTS oidc_issuer text,
    ADD COLUMN IF NOT EXISTS oidc_session text;
"""

TABLES = """
ALTER TABLE credentials ADD COLUMN verified_email text;

CREATE TABLE oidc_identities (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    issuer text NOT NULL,
    subject text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, issuer, subject)
);
CREATE INDEX oidc_identities_subject ON oidc_identities (issuer, subject);

CREATE TABLE oidc_logins (
    state_hash bytea PRIMARY KEY,
    issuer text NOT NULL,
    nonce text NOT NULL,
    code_verifier text NOT NULL,
    browser_hash bytea NOT NULL,
    redirect_uri text,
    code_challenge text,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX oidc_logins_age ON oidc_logins (expires_at);

CREATE TABLE oidc_logout_tokens (
    hash bytea PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
"""

RIGHTS = """
CREATE POLICY app_own_rows ON oidc_identities TO parley_app
    USING (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid);
GRANT SELECT, INSERT ON oidc_identities TO parley_app;

GRANT SELECT (user_id, issuer, subject) ON oidc_identities TO parley_background;
CREATE POLICY background_signs_in ON oidc_identities FOR SELECT TO parley_background USING (true);
GRANT SELECT (verified_email) ON credentials TO parley_background;
GRANT SELECT (oidc_issuer, oidc_session) ON sessions TO parley_background;
GRANT SELECT, INSERT, DELETE ON oidc_logins, oidc_logout_tokens TO parley_background;
CREATE POLICY background_signs_in ON oidc_logins TO parley_background USING (true) WITH CHECK (true);
CREATE POLICY background_signs_out ON oidc_logout_tokens TO parley_background USING (true) WITH CHECK (true);
"""


def upgrade() -> None:
    """Add the columns, the index and the tables with their policies."""
    op.execute(SESSIONS)
    create_index("sessions_oidc", "sessions (oidc_session) WHERE oidc_session IS NOT NULL")
    op.execute(TABLES)
    for table in ("oidc_identities", "oidc_logins", "oidc_logout_tokens"):
        op.execute(
            f"""
            ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
            ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
            CREATE POLICY owner_migrates ON {table} TO parley_owner USING (true) WITH CHECK (true);
            """
        )
    op.execute(RIGHTS)
