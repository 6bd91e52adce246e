"""Details of a reservation, so that the calls of a turn whose function died can be settled by an estimate.

For calls without a turn they keep their defaults. There is no foreign key to the turn because a reservation, like usage, outlives its
conversation.
"""

from alembic import op

from parley.db.migrations.operations import create_index

revision, down_revision = "0009", "0008"

COLUMNS = """
ALTER TABLE budget_reservations
    ADD COLUMN IF NOT EXISTS turn_id uuid,
    ADD COLUMN IF NOT EXISTS model text,
    ADD COLUMN IF NOT EXISTS provider text,
    ADD COLUMN IF NOT EXISTS input_tokens integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS input_usd_per_mtok numeric(18, 12) NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS output_usd_per_mtok numeric(18, 12) NOT NULL DEFAULT 0;
"""


def upgrade() -> None:
    """Add the columns and the index."""
    op.execute(COLUMNS)
    create_index("budget_reservations_turn", "budget_reservations (user_id, turn_id) WHERE turn_id IS NOT NULL")
