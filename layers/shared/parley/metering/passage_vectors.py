"""Vectors of a turn's passages, made after its answer: search finds them by meaning seconds after they were said."""

from collections.abc import Sequence
from uuid import UUID

from parley.db import passages
from parley.db.transactions import user_scope
from parley.errors import Unavailable
from parley.llm.catalogue import NoModel
from parley.llm.messages import Message, ModelRequest
from parley.llm.model import ModelCall
from parley.metering import limits
from parley.metering.background import BackgroundCall
from parley.metering.embeddings import QUERY_CALLS, MeteredEmbedder
from parley.metering.limits import BillingSubject, BudgetExhausted, Reservation
from parley.observability import logger

# No client waits for these vectors, but a worker does.
PASSAGES_TIMEOUT_S = 3.0
# A question's call that took too long for its turn has often just ended. Without this wait, the passages would have no vectors until the
# conversation's next memory update.
EARLIER_CALL_TIMEOUT_S = 1.0


def embed_passages(embedding: MeteredEmbedder, rows: Sequence[tuple[UUID, str]], *, billing_subject: BillingSubject) -> None:
    """Embed stored passages, given as (id, text), within `PASSAGES_TIMEOUT_S`. The user pays.

    Before that, wait up to `EARLIER_CALL_TIMEOUT_S` for an earlier call that took too long.
    Never raises: passages that stay without vectors, for example because the service is away, get them from the conversation's next
    memory update.
    """
    if not rows or not QUERY_CALLS.wait_until_free(EARLIER_CALL_TIMEOUT_S):
        return
    try:
        call = embedding.call()
    except NoModel:
        return
    try:
        _embed(embedding, call, rows, billing_subject)
    except (BudgetExhausted, Unavailable) as exc:
        logger.warning("embedding_failed", problem=exc.code, reason=str(exc))


def _embed(embedding: MeteredEmbedder, call: ModelCall, rows: Sequence[tuple[UUID, str]], billing_subject: BillingSubject) -> None:
    texts, user_id = [text for _, text in rows], billing_subject.user_id
    amount_usd = limits.max_cost_usd([call.model], ModelRequest([Message("user", text) for text in texts]))
    reservations: list[Reservation] = []
    if amount_usd:
        with user_scope(embedding.engine, user_id) as connection:
            reservations.append(limits.reserve(connection, billing_subject, embedding.default_limits, amount_usd=amount_usd))
    background = BackgroundCall(QUERY_CALLS, call, lambda: embedding.run(call, texts, purpose="document"))
    vectors = background.result(timeout_s=PASSAGES_TIMEOUT_S)
    with user_scope(embedding.engine, user_id) as connection:
        limits.settle(connection, billing_subject, [call], reservations=reservations, purpose="embedding")
        if vectors:
            passages.put_vectors(connection, rows, vectors, user_id=user_id)
