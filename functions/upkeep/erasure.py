"""The end of an account, or of a document: no row and no file of it is left."""

from uuid import UUID

from functions.upkeep.desk import Desk
from parley.db import administration, outbox
from parley.db.scope import open_scope, user_scope
from parley.ingest_queue import file_key


def erase(desk: Desk, user_id: UUID) -> None:
    """Delete everything of a user, the order to do so last; safe to repeat."""
    desk.files.delete_all_of(user_id)
    with open_scope(desk.background) as connection:
        administration.erase(connection, user_id)
    # Once more: whoever stored a file until that moment had a user to store it for, and later ones clean up themselves.
    desk.files.delete_all_of(user_id)


def erase_document(desk: Desk, document_id: UUID, *, user_id: UUID, entry_id: UUID) -> None:
    """Delete the file of a document whose rows have gone; safe to repeat."""
    desk.files.delete(file_key(user_id, document_id))
    with user_scope(desk.engine, user_id) as connection:
        outbox.done(connection, entry_id, user_id=user_id)
