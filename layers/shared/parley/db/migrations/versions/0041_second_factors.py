"""Second factors of users, and which sessions began with one."""

from alembic import op

revision, down_revision = "0041", "0040"

TABLES = """
ALTER TABLE sessions ADD COLUMN has_second_factor boolean NOT NULL DEFAULT false;

CREATE TABLE second_factors (
    user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    secret bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    confirmed_at timestamptz,
    last_step bigint NOT NULL DEFAULT 0
);

CREATE TABLE recovery_codes (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash bytea NOT NULL,
    PRIMARY KEY (user_id, hash)
);

GRANT SELECT (user_id, confirmed_at) ON second_factors TO parley_background;
"""


def upgrade() -> None:
    """Add the column, and create the tables with their policies."""
    op.execute(TABLES)
    for table in ("second_factors", "recovery_codes"):
        op.execute(
            f"""
            ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
            ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
            CREATE POLICY owner_migrates ON {table} TO parley_owner USING (true) WITH CHECK (true);
            CREATE POLICY app_own_rows ON {table} TO parley_app
                USING (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid)
                WITH CHECK (user_id = NULLIF(current_setting('parley.user_id', true), '')::uuid);
            GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO parley_app;
            """
        )
    op.execute("CREATE POLICY background_signs_in ON second_factors FOR SELECT TO parley_background USING (true)")
