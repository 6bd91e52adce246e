"""An identity at an issuer ends when the identity provider changes the address under which it joined the account."""

from alembic import op

revision, down_revision = "0062", "0061"


def upgrade() -> None:
    """Let the account's own transactions delete identities; the policy of the table holds them to the account."""
    op.execute("GRANT DELETE ON oidc_identities TO parley_app")
