"""Sources: the pieces of the user's documents that fit the question, numbered so that the answer can cite them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from functions.chat.context import room_for
from functions.chat.desk import Desk
from functions.chat.events import Numbered, SourceGiven
from functions.chat.giving import give
from parley.db import search
from parley.db.search import FoundChunk
from parley.db.transactions import user_scope
from parley.db.turn.message_parts import MessagePart
from parley.db.vectors import Vector
from parley.errors import Unavailable
from parley.llm.messages import Source
from parley.llm.prompts import quoted_source
from parley.llm.tokens import estimate_tokens
from parley.metering.embeddings import QUERY_CHARACTERS
from parley.observability import logger
from parley.snippets import excerpt

if TYPE_CHECKING:
    from functions.chat.running import Turn

SOURCES = 8
CITE = "Cite a passage as [number] where you use it."
# Some are left out: they say what others say, or are too long.
_POOL = 3 * SOURCES
# What has no word of the question must be nearer to it than chance, unless its document is asked for.
LEAST_SIMILARITY = 0.35


def source(services: Desk, turn: "Turn", vector: Vector | None) -> Iterator[Numbered]:
    """Give the turn what the documents that it asks have for its question, and tell of each; where the database is away, go on without.

    Whoever wrote a document, also one of the user's own, may be anybody: from here on, tools that write or send out ask.
    """
    context = turn.context
    if not context.question.documents:
        return
    room = room_for(context, turn.candidates[0])
    found = _near(_found(services, turn, vector), is_named=bool(context.question.named_documents))
    reranked = services.reranking.reranked(context.question.text, found, billing_subject=turn.billing_subject)
    chosen = numbered(reranked or found, budget_tokens=room.source_tokens)
    if chosen and give(services, turn, sources=[written for written, _ in chosen]):
        for written, chunk in chosen:
            yield turn.give(given(written.number, chunk, context.question.text))


def numbered(found: Sequence[FoundChunk], *, budget_tokens: int) -> list[tuple[Source, FoundChunk]]:
    """Return what fits, the best first, numbered from 1 on. No text comes twice."""
    chosen: list[tuple[Source, FoundChunk]] = []
    for chunk in found:
        if any(chunk.body == other.body for _, other in chosen):
            continue
        written = as_source(len(chosen) + 1, chunk)
        tokens = estimate_tokens(quoted_source(written))
        if tokens <= budget_tokens and len(chosen) < SOURCES:
            chosen.append((written, chunk))
            budget_tokens -= tokens
    return chosen


@dataclass(frozen=True, slots=True)
class NumberedChunk:
    """A piece that a tool has found; one that was a source before is not new."""

    written: Source
    given: SourceGiven
    is_new: bool


def numbered_behind(sources: Sequence[MessagePart], found: Sequence[FoundChunk], *, query: str) -> list[NumberedChunk]:
    """Number what a tool has found behind a turn's sources; what was a source before keeps its number."""
    known = {part["chunk_id"]: part["number"] for part in sources}
    new = count(len(known) + 1)
    numbers = [(known.get(str(chunk.id)) or next(new), chunk) for chunk in found]
    return [NumberedChunk(as_source(number, chunk), given(number, chunk, query), str(chunk.id) not in known) for number, chunk in numbers]


def citable(sources: Sequence[NumberedChunk]) -> str:
    """Return pieces that a tool has found as the model is given them."""
    return "\n\n".join([CITE, *(quoted_source(source.written) for source in sources)])


def as_source(number: int, chunk: FoundChunk) -> Source:
    """Return a chunk as a model reads it: under the way to it, and its page."""
    return Source(number, f"{chunk.heading}, page {chunk.page}" if chunk.page else chunk.heading, chunk.body)


def given(number: int, chunk: FoundChunk, query: str) -> SourceGiven:
    """Return a chunk as clients are told of it."""
    snippet = excerpt(chunk.body, query[:QUERY_CHARACTERS])
    return SourceGiven(number, chunk.document_id, chunk.title, chunk.id, chunk.page, snippet, chunk.score)


def _found(services: Desk, turn: "Turn", vector: Vector | None) -> list[FoundChunk]:
    question = turn.context.question
    only_in = question.named_documents or None
    try:
        with user_scope(services.engine, turn.user_id) as connection:
            return search.search_chunks(connection, question.text[:QUERY_CHARACTERS], vector, limit=_POOL, only_in=only_in)
    except Unavailable as exc:
        logger.warning("a turn goes on without sources", turn_id=str(turn.id), reason=str(exc))
        return []


def _near(found: Sequence[FoundChunk], *, is_named: bool) -> list[FoundChunk]:
    """Return what is near enough; nothing else is worth the price of a place in the order."""
    return [one for one in found if is_named or one.weight is not None or (one.similarity or 0.0) >= LEAST_SIMILARITY]
