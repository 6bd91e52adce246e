"""The end of a document: its rows at once, its file right behind them."""

from uuid import UUID

from functions.documents.desk import Desk
from parley.auth.principal import Principal
from parley.db import documents, outbox
from parley.db.transactions import principal_scope
from parley.jobs import OutboxJob


def remove(services: Desk, principal: Principal, document_id: UUID) -> None:
    """Delete the user's own document, also while it is read. Raises NotFound, Unauthorized and Unavailable."""
    with principal_scope(services.engine, principal) as connection:
        documents.remove(connection, document_id, user_id=principal.user_id)
        entry = outbox.add(connection, "erase_document", user_id=principal.user_id, subject_id=document_id)
    services.queue.send_later(OutboxJob.of(entry))
