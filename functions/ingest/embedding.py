"""The vectors of a document's chunks, batch by batch, as far as the time allows."""

import time
from collections.abc import Sequence

from functions.ingest.claiming import LEASE_S
from functions.ingest.desk import Desk
from parley.db import chunks, documents
from parley.db.chunks import UnembeddedChunk
from parley.db.documents import Document
from parley.db.transactions import user_scope
from parley.db.vectors import Vector
from parley.deadline import Deadline
from parley.llm.errors import ProviderBusy
from parley.metering.limits import BillingSubject

AT_ONCE = 64
_BATCH_S = 30.0
_HALF = 0.5
_PAUSES_S = (1.0, 4.0, 15.0)


def embed_all(services: Desk, document: Document, *, count: int, deadline: Deadline) -> bool:
    """Give every chunk its vector; False if the time is up before. Without a model that makes vectors there is nothing to do.

    Raises NotFound if the document has gone, Unavailable, BudgetExhausted and ProviderFailed.
    """
    # Asked for anew each time: the catalogue may change in between.
    while (model := services.embedding.model_name()) is not None:
        with user_scope(services.engine, document.user_id) as connection:
            left = chunks.without_vector(connection, document.id, user_id=document.user_id, model=model, limit=AT_ONCE)
        if not left:
            break
        if deadline.left_s < _BATCH_S:
            return False
        made = _made(services, document, [chunk.embedded_text for chunk in left], deadline)
        _keep(services, document, left, made, progress=_HALF + _HALF * (left[-1].number + 1) / max(count, 1))
    return True


def _made(services: Desk, document: Document, texts: Sequence[str], deadline: Deadline) -> list[Vector]:
    """Embed a batch; where the vendor is busy, ask again ever later, as long as there is time."""
    for pause_s in _PAUSES_S:
        try:
            return services.embedding.vectors(texts, billing_subject=BillingSubject(document.user_id))
        except ProviderBusy as exc:
            wait_s = max(pause_s, exc.requested_wait_s or 0.0)
            if deadline.left_s < _BATCH_S + wait_s or wait_s > LEASE_S / 2:
                raise
            time.sleep(wait_s)
    return services.embedding.vectors(texts, billing_subject=BillingSubject(document.user_id))


def _keep(services: Desk, document: Document, left: Sequence[UnembeddedChunk], made: Sequence[Vector], *, progress: float) -> None:
    vectors = {chunk.number: vector for chunk, vector in zip(left, made, strict=True)}
    with user_scope(services.engine, document.user_id) as connection:
        documents.report_progress(connection, document.id, user_id=document.user_id, progress=progress, lease_s=LEASE_S)
        chunks.put_vectors(connection, document.id, vectors, user_id=document.user_id)
