"""The end of an account: no row and no file of it is left."""

from uuid import UUID

from functions.upkeep.desk import Desk
from parley.db import administration
from parley.db.scope import open_scope


def erase(desk: Desk, user_id: UUID) -> None:
    """Delete everything of a user, the order to do so last; safe to repeat."""
    desk.files.delete_all_of(user_id)
    with open_scope(desk.background) as connection:
        administration.erase(connection, user_id)
    # Once more: whoever stored a file until that moment had a user to store it for, and later ones clean up themselves.
    desk.files.delete_all_of(user_id)
