"""Recall: facts about the user, and passages of past conversations that the model is not given anyway."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from functions.chat.context import Context, room_for
from functions.chat.desk import Desk
from functions.chat.giving import give
from parley.db import search as found
from parley.db.search import FoundFact, FoundPassage, RecallResult, WindowStart
from parley.db.vectors import Vector
from parley.errors import Unavailable
from parley.llm.tokens import estimate_tokens
from parley.metering.embeddings import QUERY_CHARACTERS
from parley.observability import logger

if TYPE_CHECKING:
    from functions.chat.events import Numbered
    from functions.chat.running import Turn

FACTS, PASSAGES = 20, 6
HALF_LIFE_DAYS = 30.0
# A passage that is only near by its vector must be nearer than chance.
LEAST_SIMILARITY = 0.35
# Of the best passage's score, what another must have.
LEAST_SHARE = 0.5


def recall(services: Desk, turn: "Turn", vector: Vector | None) -> Iterator["Numbered"]:
    """Give the turn what its user's memory has for the question, and tell of each; where the database is away, go on without."""
    if not turn.context.remembers:
        return
    room = room_for(turn.context, turn.candidates[0])
    try:
        recalled = found.recall(
            services.engine,
            turn.context.question.text[:QUERY_CHARACTERS],
            user_id=turn.user_id,
            vector=vector,
            window_start=_place(turn.context, room.kept),
            facts=FACTS,
            passages=PASSAGES,
            half_life_days=HALF_LIFE_DAYS,
        )
    except Unavailable as exc:
        logger.warning("a turn goes on without its user's memory", turn_id=str(turn.id), reason=str(exc))
        return
    yield from _give(services, turn, chosen(recalled, budget_tokens=room.memory_tokens))


def chosen(recalled: RecallResult, *, budget_tokens: int) -> RecallResult:
    """Return what is near enough and fits, the facts before the passages and the best of each first. No text comes twice."""
    facts = _within(recalled.facts, budget_tokens)
    left = budget_tokens - sum(estimate_tokens(fact.text) for fact in facts)
    best = max((passage.score for passage in recalled.passages), default=0.0)
    near = [passage for passage in recalled.passages if _is_near(passage, best)]
    return RecallResult(facts, _within(list({passage.text: passage for passage in near}.values()), left))


def _give(services: Desk, turn: "Turn", recalled: RecallResult) -> Iterator["Numbered"]:
    facts, passages = [fact.text for fact in recalled.facts], [passage.text for passage in recalled.passages]
    if not (facts or passages) or not give(services, turn, facts=facts, passages=passages):
        return
    if any(fact.is_tainted for fact in recalled.facts) or any(passage.is_tainted for passage in recalled.passages):
        turn.parts.remember()
    for fact in recalled.facts:
        yield turn.recall("fact", fact.id, fact.text)
    for passage in recalled.passages:
        yield turn.recall("passage", passage.id, passage.text)


def _place(context: Context, kept: int) -> WindowStart:
    """Return from which message on the conversation is in the window. An answer that is made anew stands behind the question."""
    if context.conversation is None:
        return WindowStart(None, 0)
    behind = 2 if context.question.is_anew else 0
    return WindowStart(context.conversation.id, max(context.conversation.last_seq - kept - behind + 1, 1))


def _is_near(passage: FoundPassage, best: float) -> bool:
    is_like = passage.weight is not None or (passage.similarity or 0.0) >= LEAST_SIMILARITY
    return is_like and passage.score >= best * LEAST_SHARE


def _within[T: (FoundFact, FoundPassage)](texts: Sequence[T], budget_tokens: int) -> list[T]:
    """Return as many as fit, from the first on; one that is too long is passed over."""
    fitting: list[T] = []
    for one in texts:
        tokens = estimate_tokens(one.text)
        if tokens <= budget_tokens:
            fitting.append(one)
            budget_tokens -= tokens
    return fitting
