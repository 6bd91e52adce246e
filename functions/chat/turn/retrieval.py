"""Retrieval for a question: document chunks and the user's memory, added to the request before the model is called.

One call of the embedding model serves both searches. A turn continues without retrieved context if the database is unavailable or
the budget cannot cover the longer request. The turn begins by reserving the cost of a request without retrieved context; each
retrieval then rebuilds the request and reserves the difference.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count
from typing import Any

from functions.chat.services import ChatServices
from functions.chat.turn.events import NumberedEvent, SourceGiven, WebSourceGiven
from functions.chat.turn.prompt import PromptContext, prepare_request, retrieval_budget
from functions.chat.turn.state import Turn
from parley.clock import date_in_words, utc_now
from parley.db import search
from parley.db.chunks import FoundChunk, search_chunks, with_neighbour
from parley.db.engine import Engine
from parley.db.search import FoundFact, FoundPassage, RecallResult, WindowStart
from parley.db.transactions import user_scope
from parley.db.turn.message_parts import MessagePart
from parley.db.vectors import Vector
from parley.errors import Unavailable
from parley.llm.candidates import Candidate
from parley.llm.catalogue import NoModel
from parley.llm.messages import Message, ModelRequest, Source
from parley.llm.prompts import quoted_source
from parley.llm.tokens import estimate_tokens
from parley.memory.named_time import named_period
from parley.metering import limits
from parley.metering.background import BackgroundCall
from parley.metering.embeddings import QUERY_CHARACTERS
from parley.metering.limits import BudgetExhausted
from parley.observability import logger
from parley.snippets import excerpt
from parley.tools.outcome import FoundPage

# The longest that a turn waits for a slow embedding service. A reranker may add `reranking.RERANK_TIMEOUT_S`.
QUERY_EMBEDDING_TIMEOUT_S = 0.5
# A match by vector alone must be closer to the question than unrelated text usually is. With the built-in model, 95% of the texts that
# answer a question reach 0.25 and 83% reach 0.35 (`bench.retrieval.quality --packages`). Passages are searched without being asked for.
MIN_CHUNK_SIMILARITY, MIN_PASSAGE_SIMILARITY = 0.25, 0.35

MAX_SOURCES = 8
# More than `MAX_SOURCES`, because duplicates and chunks that are too long are left out.
MAX_SEARCHED = 3 * MAX_SOURCES
CITE_INSTRUCTION = "Cite a passage as [number] where you use it."

MAX_FACTS = 20
MAX_PASSAGES = 6
FACT_HALF_LIFE_DAYS = 30.0
# A passage must have this share of the best passage's score.
MIN_PASSAGE_SCORE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class NumberedResult:
    """A chunk or web page that a tool found, numbered as a source. `is_new` is False if the turn already had the source."""

    numbered_source: Source
    source_event: SourceGiven | WebSourceGiven
    is_new: bool


def start_query_embedding(services: ChatServices, turn: Turn) -> BackgroundCall[Vector] | None:
    """Start embedding the question in the background.

    Returns None if nothing needs retrieval, no embedding model is configured, or a previous call still hangs.
    """
    if not _needs_retrieval(turn.context):
        return None
    embedding = services.embedding
    try:
        return embedding.query_embedding(embedding.call(), turn.context.question.text)
    except NoModel:
        return None


def max_embedding_cost_usd(services: ChatServices, context: PromptContext) -> Decimal:
    """Return the maximum cost of embedding the question, zero if it is not embedded."""
    if not _needs_retrieval(context):
        return Decimal(0)
    try:
        model = services.embedding.call().model
    except NoModel:
        return Decimal(0)
    return limits.max_cost_usd([model], ModelRequest([Message("user", context.question.text[:QUERY_CHARACTERS])]))


def retrieve(services: ChatServices, turn: Turn) -> Iterator[NumberedEvent]:
    """Add sources and memory to the turn's request, and yield an event for each. A resumed turn has them in its checkpoint."""
    if turn.resumed_from.parts or not _needs_retrieval(turn.context):
        return
    vector = turn.query_embedding.result(timeout_s=QUERY_EMBEDDING_TIMEOUT_S) if turn.query_embedding else None
    turn.retrieval = "hybrid" if vector else "text"
    yield from inject_sources(services, turn, vector)
    yield from inject_memory(services, turn, vector)


def _needs_retrieval(context: PromptContext) -> bool:
    return context.remembers or context.searches_documents


def inject_sources(services: ChatServices, turn: Turn, vector: Vector | None) -> Iterator[NumberedEvent]:
    """Search the documents of the question or the project, add the best chunks to the request, and yield an event for each.

    Sources taint the turn, even if they come from the user's own documents, because anyone may have written the text: from then on,
    tools that write or send data need an approval.
    """
    context = turn.context
    if not context.searches_documents:
        return
    budget = retrieval_budget(context, turn.candidates[0])
    assistant = context.question.assistant
    is_named = bool(context.question.named_documents) and not (assistant and assistant.has_chosen_documents)
    chunks = relevant_chunks(_search_documents(services.engine, turn, vector), is_named=is_named)
    reranked = services.reranking.reranked(context.question.text, chunks, billing_subject=turn.billing_subject)
    chosen = number_sources(reranked or chunks, budget_tokens=budget.source_tokens)
    if chosen and inject(services, turn, sources=[numbered_source for numbered_source, _ in chosen]):
        for numbered_source, chunk in chosen:
            yield turn.add_source(source_event(numbered_source.number, chunk, context.question.text))


def inject_memory(services: ChatServices, turn: Turn, vector: Vector | None) -> Iterator[NumberedEvent]:
    """Search the user's facts and past conversations, add the best matches to the request, and yield an event for each."""
    if not turn.context.remembers:
        return
    budget = retrieval_budget(turn.context, turn.candidates[0])
    try:
        recalled = search.recall(
            services.engine,
            turn.context.question.text[:QUERY_CHARACTERS],
            user_id=turn.user_id,
            vector=vector,
            window_start=_history_start(turn.context, budget.history_messages),
            facts=MAX_FACTS,
            passages=MAX_PASSAGES,
            half_life_days=FACT_HALF_LIFE_DAYS,
            period=named_period(turn.context.question.text[:QUERY_CHARACTERS], today=utc_now().date()),
            project_id=turn.context.memory_project_id,
        )
    except Unavailable as exc:
        logger.warning("memory_retrieval_skipped", turn_id=str(turn.id), reason=str(exc))
        return
    yield from _inject_recalled(services, turn, select_memories(recalled, budget_tokens=budget.memory_tokens))


def inject(services: ChatServices, turn: Turn, **retrieved: Any) -> bool:
    """Rebuild the turn's request after replacing the context's fields named in `retrieved`.

    Returns False and changes nothing if the budget cannot cover the longer request or the database is unavailable.
    """
    context = replace(turn.context, **retrieved)
    candidates, request = prepare_request(turn.candidates, context)
    if not _reserve_difference(services, turn, candidates, request):
        return False
    turn.context, turn.candidates, turn.request = context, candidates, request
    return True


def _reserve_difference(services: ChatServices, turn: Turn, candidates: Sequence[Candidate], request: ModelRequest) -> bool:
    """Reserve the additional cost of the longer request. Return False if the budget is too small or the database is down."""
    models, models_before = [candidate.model for candidate in candidates], [candidate.model for candidate in turn.candidates]
    amount_usd = limits.max_cost_usd(models, request) - limits.max_cost_usd(models_before, turn.request)
    if amount_usd <= 0:
        return True
    try:
        with user_scope(services.engine, turn.user_id) as connection:
            turn.reservations.append(limits.reserve(connection, turn.billing_subject, services.default_limits, amount_usd=amount_usd))
    except (BudgetExhausted, Unavailable) as exc:
        logger.warning("retrieved_context_skipped", turn_id=str(turn.id), reason=str(exc))
        return False
    return True


def number_sources(chunks: Sequence[FoundChunk], *, budget_tokens: int) -> list[tuple[Source, FoundChunk]]:
    """Return the chunks that fit the budget, best first, as sources numbered from 1. Duplicate texts are left out."""
    chosen: list[tuple[Source, FoundChunk]] = []
    for chunk in chunks:
        if any(chunk.body == other.body for _, other in chosen):
            continue
        numbered_source = prompt_source(len(chosen) + 1, chunk)
        tokens = estimate_tokens(quoted_source(numbered_source))
        if tokens <= budget_tokens and len(chosen) < MAX_SOURCES:
            chosen.append((numbered_source, chunk))
            budget_tokens -= tokens
    return chosen


def number_tool_results(sources: Sequence[MessagePart], found: Sequence[FoundChunk | FoundPage], *, query: str) -> list[NumberedResult]:
    """Return what a tool found, numbered after the turn's sources. A chunk or page that is a source already keeps its number."""
    known = {part.get("url") or part["chunk_id"]: part["number"] for part in sources}
    new_numbers = count(len(known) + 1)
    numbered = []
    for result in found:
        key = result.url if isinstance(result, FoundPage) else str(result.id)
        is_new = key not in known
        number = known.setdefault(key, next(new_numbers)) if is_new else known[key]
        numbered.append(_numbered_result(number, result, query, is_new=is_new))
    return numbered


def _numbered_result(number: int, found: FoundChunk | FoundPage, query: str, *, is_new: bool) -> NumberedResult:
    if isinstance(found, FoundPage):
        source = Source(number, f"{found.title}, {found.url}", found.text)
        return NumberedResult(source, WebSourceGiven(number, found.url, found.title, excerpt(found.text, query)), is_new)
    return NumberedResult(prompt_source(number, found), source_event(number, found, query), is_new)


def format_sources(results: Sequence[NumberedResult]) -> str:
    """Format the chunks or pages that a tool found as its result for the model."""
    return "\n\n".join([CITE_INSTRUCTION, *(quoted_source(result.numbered_source) for result in results)])


def prompt_source(number: int, chunk: FoundChunk) -> Source:
    """Return a chunk as a source for the prompt, with its headings and page."""
    return Source(number, f"{chunk.heading}, page {chunk.page}" if chunk.page else chunk.heading, chunk.body)


def source_event(number: int, chunk: FoundChunk, query: str) -> SourceGiven:
    """Return the event that shows a source to clients."""
    snippet = excerpt(chunk.body, query[:QUERY_CHARACTERS])
    return SourceGiven(number, chunk.document_id, chunk.title, chunk.id, chunk.page, snippet, chunk.score)


def _search_documents(engine: Engine, turn: Turn, vector: Vector | None) -> list[FoundChunk]:
    question = turn.context.question
    only_in = turn.context.only_documents or None
    try:
        with user_scope(engine, turn.user_id) as connection:
            found = search_chunks(connection, question.text[:QUERY_CHARACTERS], vector, limit=MAX_SEARCHED, only_in=only_in)
            # The answer often continues in the next chunk, which has none of the question's words.
            return with_neighbour(connection, found, user_id=turn.user_id, place=MAX_SOURCES)
    except Unavailable as exc:
        logger.warning("source_retrieval_skipped", turn_id=str(turn.id), reason=str(exc))
        return []


def relevant_chunks(chunks: Sequence[FoundChunk], *, is_named: bool) -> list[FoundChunk]:
    """Return the chunks worth reranking: all chunks if the question names documents, otherwise only the close matches."""
    return [chunk for chunk in chunks if is_named or _is_close(chunk, min_similarity=MIN_CHUNK_SIMILARITY)]


def _is_close(match: FoundChunk | FoundPassage, *, min_similarity: float) -> bool:
    """Whether the match shares a word with the question, or is similar enough by vector."""
    return match.bm25 is not None or (match.similarity or 0.0) >= min_similarity


def select_memories(recalled: RecallResult, *, budget_tokens: int) -> RecallResult:
    """Return the relevant memories that fit the budget: facts first, then passages, each best first. Duplicates are left out."""
    facts = _fitting(recalled.facts, budget_tokens)
    left = budget_tokens - sum(estimate_tokens(prompt_memory(fact)) for fact in facts)
    best_score = max((passage.score for passage in recalled.passages), default=0.0)
    close = [passage for passage in recalled.passages if _is_close(passage, min_similarity=MIN_PASSAGE_SIMILARITY)]
    relevant = [passage for passage in close if passage.score >= best_score * MIN_PASSAGE_SCORE_SHARE]
    return RecallResult(facts, _fitting(list({passage.text: passage for passage in relevant}.values()), left))


def prompt_memory(memory: FoundFact | FoundPassage) -> str:
    """Return a fact or passage as the model receives it, with its day as a number and in words. Clients get it as it is stored."""
    if isinstance(memory, FoundFact):
        return f"{memory.text} ({date_in_words(memory.created_at.date())})"
    # A stored passage begins with its day as a number.
    return f"{date_in_words(memory.said_at.date())}\n{memory.text.removeprefix(f'{memory.said_at:%Y-%m-%d}\n')}"


def _inject_recalled(services: ChatServices, turn: Turn, recalled: RecallResult) -> Iterator[NumberedEvent]:
    facts, passages = list(map(prompt_memory, recalled.facts)), list(map(prompt_memory, recalled.passages))
    if not (facts or passages) or not inject(services, turn, facts=facts, passages=passages):
        return
    if any(fact.is_tainted for fact in recalled.facts) or any(passage.is_tainted for passage in recalled.passages):
        turn.parts.mark_memory_used()
    for fact in recalled.facts:
        yield turn.add_memory("fact", fact.id, fact.text)
    for passage in recalled.passages:
        yield turn.add_memory("passage", passage.id, passage.text)


def _history_start(context: PromptContext, history_messages: int) -> WindowStart:
    """Return where the history in the prompt begins, so that recall skips messages that the prompt already contains."""
    if context.conversation is None:
        return WindowStart(None, 0)
    # A regenerated question and its answer come after the history.
    regenerated = 2 if context.question.is_regeneration else 0
    return WindowStart(context.conversation.id, max(context.conversation.last_seq - history_messages - regenerated + 1, 1))


def _fitting[T: (FoundFact, FoundPassage)](memories: Sequence[T], budget_tokens: int) -> list[T]:
    """Return the memories that fit the budget, in order. A memory that is too long is skipped."""
    fitting: list[T] = []
    for memory in memories:
        tokens = estimate_tokens(prompt_memory(memory))
        if tokens <= budget_tokens:
            fitting.append(memory)
            budget_tokens -= tokens
    return fitting
