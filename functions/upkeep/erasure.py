"""The end of an account, or of a document: no row and no file of it is left."""

from uuid import UUID

from functions.upkeep.desk import Desk
from parley.db import outbox
from parley.db.accounts import administration
from parley.db.transactions import global_scope, user_scope
from parley.jobs import document_key


def erase(services: Desk, user_id: UUID) -> None:
    """Delete everything of a user, the order to do so last; safe to repeat."""
    services.files.delete_all_of(user_id)
    with global_scope(services.background) as connection:
        administration.erase(connection, user_id)
    # Once more: whoever stored a file until that moment had a user to store it for, and later ones clean up themselves.
    services.files.delete_all_of(user_id)


def erase_document(services: Desk, document_id: UUID, *, user_id: UUID, entry_id: UUID) -> None:
    """Delete the file of a document whose rows have gone; safe to repeat."""
    services.files.delete(document_key(user_id, document_id))
    with user_scope(services.engine, user_id) as connection:
        outbox.delete_done(connection, entry_id, user_id=user_id)
