"""Details of a reservation, so that the calls of a turn whose function died can be settled by an estimate.

For calls without a turn they keep their defaults. There is no foreign key to the turn because a reservation, like usage, outlives its
conversation.
"""

from alembic import op

revision, down_revision = "0009", "0008"

COLUMNS = """
ALTER TABLE budget_reservations
    ADD COLUMN turn_id uuid,
    ADD COLUMN model text,
    ADD COLUMN provider text,
    ADD COLUMN input_tokens integer NOT NULL DEFAULT 0,
    ADD COLUMN input_usd_per_mtok numeric(18, 12) NOT NULL DEFAULT 0,
    ADD COLUMN output_usd_per_mtok numeric(18, 12) NOT NULL DEFAULT 0;
CREATE INDEX budget_reservations_turn ON budget_reservations (user_id, turn_id) WHERE turn_id IS NOT NULL;
"""


def upgrade() -> None:
    """Add the columns and the index."""
    op.execute(COLUMNS)
