"""Users, sessions, conversations, messages and turns, with row level security on all of them.

Creates the tables, then the roles and their policies. `parley_owner` owns everything and runs migrations. `parley_app` serves
requests, as one user at a time. `parley_background` looks up users by email address at login.
"""

from alembic import op

revision, down_revision = "0001", None

TABLES = """
CREATE TABLE users (
    id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE,
    display_name text,
    role text NOT NULL DEFAULT 'user' CONSTRAINT users_role_check CHECK (role IN ('user', 'admin')),
    memory_enabled boolean NOT NULL DEFAULT true,
    default_model text,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE credentials (
    user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    password_hash text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sessions (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (user_id, id)
);

CREATE TABLE refresh_tokens (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash bytea NOT NULL,
    session_id uuid NOT NULL,
    parent_hash bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz,
    PRIMARY KEY (user_id, hash),
    FOREIGN KEY (user_id, session_id) REFERENCES sessions (user_id, id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (user_id, session_id);

CREATE TABLE conversations (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    title text,
    model text,
    system_prompt text,
    last_seq integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id)
);
CREATE INDEX conversations_activity ON conversations (user_id, updated_at, id);

CREATE TABLE messages (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    seq integer NOT NULL,
    variant integer NOT NULL DEFAULT 0,
    is_active boolean NOT NULL DEFAULT true,
    role text NOT NULL CONSTRAINT messages_role_check CHECK (role IN ('user', 'assistant', 'tool')),
    parts jsonb NOT NULL,
    model text,
    tokens integer NOT NULL DEFAULT 0,
    status text NOT NULL DEFAULT 'completed',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id),
    FOREIGN KEY (user_id, conversation_id) REFERENCES conversations (user_id, id) ON DELETE CASCADE,
    CONSTRAINT messages_place UNIQUE (user_id, conversation_id, seq, variant)
);
CREATE UNIQUE INDEX messages_active ON messages (user_id, conversation_id, seq) WHERE is_active;

CREATE TABLE turns (
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    status text NOT NULL DEFAULT 'running',
    model text NOT NULL,
    user_message_id uuid NOT NULL,
    message_id uuid,
    error_code text,
    input_tokens integer,
    output_tokens integer,
    cost_usd numeric(12, 6),
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    PRIMARY KEY (user_id, id),
    FOREIGN KEY (user_id, conversation_id) REFERENCES conversations (user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (user_id, user_message_id) REFERENCES messages (user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (user_id, message_id) REFERENCES messages (user_id, id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX turns_conversation ON turns (user_id, conversation_id);
"""

# The owner creates the roles unless the deployer already has. On RDS the roles log in as the owner does: if that is by IAM, the
# owner must be allowed to grant `rds_iam`.
ROLES = """
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['parley_app', 'parley_background'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        END IF;
        IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = 'rds_iam' AND pg_has_role(current_user, r.oid, 'MEMBER'))
           AND NOT pg_has_role(name, 'rds_iam', 'MEMBER') THEN
            EXECUTE format('GRANT rds_iam TO %I', name);
        END IF;
    END LOOP;
END $$;
"""

ME = "NULLIF(current_setting('parley.user_id', true), '')::uuid"

# table: (column with the user's id, rights of the app role)
RIGHTS = {
    "users": ("id", "SELECT, INSERT, UPDATE"),
    "credentials": ("user_id", "SELECT, INSERT, UPDATE"),
    "sessions": ("user_id", "SELECT, INSERT, UPDATE"),
    "refresh_tokens": ("user_id", "SELECT, INSERT, UPDATE"),
    "conversations": ("user_id", "SELECT, INSERT, UPDATE, DELETE"),
    "messages": ("user_id", "SELECT, INSERT, UPDATE"),
    "turns": ("user_id", "SELECT, INSERT, UPDATE"),
}

BACKGROUND = """
GRANT SELECT (id, email) ON users TO parley_background;
GRANT SELECT (user_id, password_hash) ON credentials TO parley_background;
CREATE POLICY background_signs_in ON users FOR SELECT TO parley_background USING (true);
CREATE POLICY background_signs_in ON credentials FOR SELECT TO parley_background USING (true);
"""


def upgrade() -> None:
    """Create the tables, roles and policies."""
    op.execute(TABLES)
    op.execute(ROLES)
    for table, (owner_column, rights) in RIGHTS.items():
        op.execute(
            f"""
            ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
            ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
            CREATE POLICY app_own_rows ON {table} TO parley_app USING ({owner_column} = {ME}) WITH CHECK ({owner_column} = {ME});
            CREATE POLICY owner_migrates ON {table} TO parley_owner USING (true) WITH CHECK (true);
            GRANT {rights} ON {table} TO parley_app;
            """
        )
    op.execute(BACKGROUND)
