"""What is looked up for a question before a model is asked: pieces of documents, and the user's memory.

One vector of the question serves both, and one call of the embedding model is paid for.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from functions.chat.context import Context
from functions.chat.desk import Desk
from functions.chat.recalling import recall
from functions.chat.sourcing import source
from parley.llm.catalogue import NoModel
from parley.llm.messages import Message, ModelRequest
from parley.metering import limits
from parley.metering.background import BackgroundEmbedding
from parley.metering.embeddings import QUERY_CHARACTERS

if TYPE_CHECKING:
    from functions.chat.events import Numbered
    from functions.chat.running import Turn

# An embedding service that is slow or dead delays a turn by no more; a reranker has `reranking.ORDER_S` beside that.
PATIENCE_S = 0.5


def begin(services: Desk, turn: "Turn") -> BackgroundEmbedding | None:
    """Begin to embed the question; None where nothing is looked up, there is no model, or an earlier question's call hangs."""
    if not _is_due(turn.context):
        return None
    embedding = services.embedding
    try:
        return embedding.query_embedding(embedding.call(), turn.context.question.text)
    except NoModel:
        return None


def gather(services: Desk, turn: "Turn") -> Iterator["Numbered"]:
    """Give the turn what documents and memory have for its question, and tell of each. One that goes on has it already."""
    if turn.before.parts or not _is_due(turn.context):
        return
    vector = turn.query_embedding.vector(timeout_s=PATIENCE_S) if turn.query_embedding else None
    yield from source(services, turn, vector)
    yield from recall(services, turn, vector)


def worst_usd(services: Desk, context: Context) -> Decimal:
    """Return the most that the question's vector costs."""
    if not _is_due(context):
        return Decimal(0)
    try:
        model = services.embedding.call().model
    except NoModel:
        return Decimal(0)
    return limits.max_cost_usd([model], ModelRequest([Message("user", context.question.text[:QUERY_CHARACTERS])]))


def _is_due(context: Context) -> bool:
    return context.remembers or bool(context.question.documents)
