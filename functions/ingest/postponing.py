"""When to ask again for descriptions that a model did not give: a vendor that is busy shall not cost a document all that are left."""

from functions.ingest.desk import Desk
from parley.db import chunks, documents
from parley.db.documents import Document
from parley.db.transactions import user_scope
from parley.errors import ParleyError
from parley.llm.errors import ProviderBusy, ProviderFailed
from parley.observability import logger

# In a row, without one description: an hour with their pauses, in which the document is not found yet.
MOST_PAUSES = 8
_FIRST_S = 30.0
# The longest delay of SQS.
_LONGEST_S = 900.0


def pause_s(services: Desk, document: Document, failure: ParleyError) -> float | None:
    """Return after how long to ask again, each time twice as long and never before the vendor wishes; None to go without.

    Once vectors are made nothing is waited for: the document went without before. Raises NotFound and Unavailable.
    """
    if not isinstance(failure, ProviderFailed) or not failure.retryable:
        return None
    model = services.embedding.model_name()
    with user_scope(services.engine, document.user_id) as connection:
        attempts = documents.get(connection, document.id, user_id=document.user_id).attempts
        was_given_up = model is not None and chunks.has_undescribed_vectors(connection, document.id, user_id=document.user_id, model=model)
    asked_s = failure.requested_wait_s if isinstance(failure, ProviderBusy) else None
    if was_given_up or attempts >= MOST_PAUSES or (asked_s or 0.0) > _LONGEST_S:
        return None
    wait_s = min(max(_FIRST_S * 2.0**attempts, asked_s or 0.0), _LONGEST_S)
    logger.info("descriptions are put off", document_id=str(document.id), wait_s=wait_s, reason=str(failure))
    return wait_s
