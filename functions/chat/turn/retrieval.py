"""Retrieval for a question: document passages and the user's memory, added to the request before the model is called.

One query vector serves both searches, and one call of the embedding model is paid for. A turn continues without
retrieved context if the database is unavailable or the budget cannot cover the longer request.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count
from typing import Any

from functions.chat.services import ChatServices
from functions.chat.turn.events import NumberedEvent, SourceGiven
from functions.chat.turn.prompt import PromptContext, prepare_request, retrieval_budget
from functions.chat.turn.state import Turn
from parley.db import search
from parley.db import search as found
from parley.db.search import FoundChunk, FoundFact, FoundPassage, RecallResult, WindowStart
from parley.db.transactions import user_scope
from parley.db.turn.message_parts import MessagePart
from parley.db.vectors import Vector
from parley.errors import Unavailable
from parley.llm.candidates import Candidate
from parley.llm.catalogue import NoModel
from parley.llm.messages import Message, ModelRequest, Source
from parley.llm.prompts import quoted_source
from parley.llm.tokens import estimate_tokens
from parley.metering import limits
from parley.metering.background import BackgroundCall
from parley.metering.embeddings import QUERY_CHARACTERS
from parley.metering.limits import BudgetExhausted
from parley.observability import logger
from parley.snippets import excerpt


def inject(services: ChatServices, turn: Turn, **found: Any) -> bool:
    """Put `found`, fields of the context, into the turn's request; False, and all stays as it is, where the budget has no room for it."""
    context = replace(turn.context, **found)
    candidates, request = prepare_request(turn.candidates, context)
    if not _reserve_difference(services, turn, candidates, request):
        return False
    turn.context, turn.candidates, turn.request = context, candidates, request
    return True


def _reserve_difference(services: ChatServices, turn: Turn, candidates: Sequence[Candidate], request: ModelRequest) -> bool:
    """Reserve what the longer request costs more; False where the budget has no room for it."""
    models, before = [one.model for one in candidates], [one.model for one in turn.candidates]
    amount_usd = limits.max_cost_usd(models, request) - limits.max_cost_usd(before, turn.request)
    if amount_usd <= 0:
        return True
    try:
        with user_scope(services.engine, turn.user_id) as connection:
            turn.reservations.append(limits.reserve(connection, turn.billing_subject, services.default_limits, amount_usd=amount_usd))
    except (BudgetExhausted, Unavailable) as exc:
        logger.warning("a turn goes on without what was found for it", turn_id=str(turn.id), reason=str(exc))
        return False
    return True


MAX_SOURCES = 8


CITE_INSTRUCTION = "Cite a passage as [number] where you use it."


# Some are left out: they say what others say, or are too long.
_MAX_SEARCHED = 3 * MAX_SOURCES


# What has no word of the question must be nearer to it than chance, unless its document is asked for.
MIN_SOURCE_SIMILARITY = 0.35


def inject_sources(services: ChatServices, turn: Turn, vector: Vector | None) -> Iterator[NumberedEvent]:
    """Give the turn what the documents that it asks have for its question, and tell of each; where the database is away, go on without.

    Whoever wrote a document, also one of the user's own, may be anybody: from here on, tools that write or send out ask.
    """
    context = turn.context
    if not context.question.documents:
        return
    room = retrieval_budget(context, turn.candidates[0])
    found = _relevant(_search_documents(services, turn, vector), is_named=bool(context.question.named_documents))
    reranked = services.reranking.reranked(context.question.text, found, billing_subject=turn.billing_subject)
    chosen = number_sources(reranked or found, budget_tokens=room.source_tokens)
    if chosen and inject(services, turn, sources=[numbered_source for numbered_source, _ in chosen]):
        for numbered_source, chunk in chosen:
            yield turn.add_source(source_event(numbered_source.number, chunk, context.question.text))


def number_sources(found: Sequence[FoundChunk], *, budget_tokens: int) -> list[tuple[Source, FoundChunk]]:
    """Return what fits, the best first, numbered from 1 on. No text comes twice."""
    chosen: list[tuple[Source, FoundChunk]] = []
    for chunk in found:
        if any(chunk.body == other.body for _, other in chosen):
            continue
        numbered_source = prompt_source(len(chosen) + 1, chunk)
        tokens = estimate_tokens(quoted_source(numbered_source))
        if tokens <= budget_tokens and len(chosen) < MAX_SOURCES:
            chosen.append((numbered_source, chunk))
            budget_tokens -= tokens
    return chosen


@dataclass(frozen=True, slots=True)
class NumberedChunk:
    """A piece that a tool has found; one that was a source before is not new."""

    numbered_source: Source
    source_event: SourceGiven
    is_new: bool


def number_tool_results(sources: Sequence[MessagePart], found: Sequence[FoundChunk], *, query: str) -> list[NumberedChunk]:
    """Number what a tool has found behind a turn's sources; what was a source before keeps its number."""
    known = {part["chunk_id"]: part["number"] for part in sources}
    new = count(len(known) + 1)
    numbers = [(known.get(str(chunk.id)) or next(new), chunk) for chunk in found]
    return [
        NumberedChunk(prompt_source(number, chunk), source_event(number, chunk, query), str(chunk.id) not in known)
        for number, chunk in numbers
    ]


def format_sources(sources: Sequence[NumberedChunk]) -> str:
    """Return pieces that a tool has found as the model is given them."""
    return "\n\n".join([CITE_INSTRUCTION, *(quoted_source(source.numbered_source) for source in sources)])


def prompt_source(number: int, chunk: FoundChunk) -> Source:
    """Return a chunk as a model reads it: under the way to it, and its page."""
    return Source(number, f"{chunk.heading}, page {chunk.page}" if chunk.page else chunk.heading, chunk.body)


def source_event(number: int, chunk: FoundChunk, query: str) -> SourceGiven:
    """Return a chunk as clients are told of it."""
    snippet = excerpt(chunk.body, query[:QUERY_CHARACTERS])
    return SourceGiven(number, chunk.document_id, chunk.title, chunk.id, chunk.page, snippet, chunk.score)


def _search_documents(services: ChatServices, turn: Turn, vector: Vector | None) -> list[FoundChunk]:
    question = turn.context.question
    only_in = question.named_documents or None
    try:
        with user_scope(services.engine, turn.user_id) as connection:
            return search.search_chunks(connection, question.text[:QUERY_CHARACTERS], vector, limit=_MAX_SEARCHED, only_in=only_in)
    except Unavailable as exc:
        logger.warning("a turn goes on without sources", turn_id=str(turn.id), reason=str(exc))
        return []


def _relevant(found: Sequence[FoundChunk], *, is_named: bool) -> list[FoundChunk]:
    """Return what is near enough; nothing else is worth the price of a place in the order."""
    return [one for one in found if is_named or one.bm25 is not None or (one.similarity or 0.0) >= MIN_SOURCE_SIMILARITY]


MAX_FACTS, MAX_PASSAGES = 20, 6


FACT_HALF_LIFE_DAYS = 30.0


# A passage that is only near by its vector must be nearer than chance.
MIN_PASSAGE_SIMILARITY = 0.35


# Of the best passage's score, what another must have.
MIN_PASSAGE_SCORE_SHARE = 0.5


def inject_memory(services: ChatServices, turn: Turn, vector: Vector | None) -> Iterator[NumberedEvent]:
    """Give the turn what its user's memory has for the question, and tell of each; where the database is away, go on without."""
    if not turn.context.remembers:
        return
    room = retrieval_budget(turn.context, turn.candidates[0])
    try:
        recalled = found.recall(
            services.engine,
            turn.context.question.text[:QUERY_CHARACTERS],
            user_id=turn.user_id,
            vector=vector,
            window_start=_history_start(turn.context, room.kept),
            facts=MAX_FACTS,
            passages=MAX_PASSAGES,
            half_life_days=FACT_HALF_LIFE_DAYS,
        )
    except Unavailable as exc:
        logger.warning("a turn goes on without its user's memory", turn_id=str(turn.id), reason=str(exc))
        return
    yield from _inject_recalled(services, turn, select_memories(recalled, budget_tokens=room.memory_tokens))


def select_memories(recalled: RecallResult, *, budget_tokens: int) -> RecallResult:
    """Return what is near enough and fits, the facts before the passages and the best of each first. No text comes twice."""
    facts = _fitting(recalled.facts, budget_tokens)
    left = budget_tokens - sum(estimate_tokens(fact.text) for fact in facts)
    best = max((passage.score for passage in recalled.passages), default=0.0)
    near = [passage for passage in recalled.passages if _is_relevant_passage(passage, best)]
    return RecallResult(facts, _fitting(list({passage.text: passage for passage in near}.values()), left))


def _inject_recalled(services: ChatServices, turn: Turn, recalled: RecallResult) -> Iterator[NumberedEvent]:
    facts, passages = [fact.text for fact in recalled.facts], [passage.text for passage in recalled.passages]
    if not (facts or passages) or not inject(services, turn, facts=facts, passages=passages):
        return
    if any(fact.is_tainted for fact in recalled.facts) or any(passage.is_tainted for passage in recalled.passages):
        turn.parts.mark_memory_used()
    for fact in recalled.facts:
        yield turn.add_memory("fact", fact.id, fact.text)
    for passage in recalled.passages:
        yield turn.add_memory("passage", passage.id, passage.text)


def _history_start(context: PromptContext, kept: int) -> WindowStart:
    """Return from which message on the conversation is in the window. An answer that is made anew stands behind the question."""
    if context.conversation is None:
        return WindowStart(None, 0)
    behind = 2 if context.question.is_regeneration else 0
    return WindowStart(context.conversation.id, max(context.conversation.last_seq - kept - behind + 1, 1))


def _is_relevant_passage(passage: FoundPassage, best: float) -> bool:
    is_like = passage.bm25 is not None or (passage.similarity or 0.0) >= MIN_PASSAGE_SIMILARITY
    return is_like and passage.score >= best * MIN_PASSAGE_SCORE_SHARE


def _fitting[T: (FoundFact, FoundPassage)](texts: Sequence[T], budget_tokens: int) -> list[T]:
    """Return as many as fit, from the first on; one that is too long is passed over."""
    fitting: list[T] = []
    for one in texts:
        tokens = estimate_tokens(one.text)
        if tokens <= budget_tokens:
            fitting.append(one)
            budget_tokens -= tokens
    return fitting


# An embedding service that is slow or dead delays a turn by no more; a reranker has `reranking.ORDER_S` beside that.
QUERY_EMBEDDING_TIMEOUT_S = 0.5


def start_query_embedding(services: ChatServices, turn: Turn) -> BackgroundCall[Vector] | None:
    """Begin to embed the question; None where nothing is looked up, there is no model, or an earlier question's call hangs."""
    if not _needs_retrieval(turn.context):
        return None
    embedding = services.embedding
    try:
        return embedding.query_embedding(embedding.call(), turn.context.question.text)
    except NoModel:
        return None


def retrieve(services: ChatServices, turn: Turn) -> Iterator[NumberedEvent]:
    """Give the turn what documents and memory have for its question, and tell of each. One that goes on has it already."""
    if turn.resumed_from.parts or not _needs_retrieval(turn.context):
        return
    vector = turn.query_embedding.result(timeout_s=QUERY_EMBEDDING_TIMEOUT_S) if turn.query_embedding else None
    yield from inject_sources(services, turn, vector)
    yield from inject_memory(services, turn, vector)


def max_embedding_cost_usd(services: ChatServices, context: PromptContext) -> Decimal:
    """Return the most that the question's vector costs."""
    if not _needs_retrieval(context):
        return Decimal(0)
    try:
        model = services.embedding.call().model
    except NoModel:
        return Decimal(0)
    return limits.max_cost_usd([model], ModelRequest([Message("user", context.question.text[:QUERY_CHARACTERS])]))


def _needs_retrieval(context: PromptContext) -> bool:
    return context.remembers or bool(context.question.documents)
