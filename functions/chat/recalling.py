"""Recall: facts about the user, and passages of past conversations that the model is not given anyway."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from functions.chat.choosing import prepared
from functions.chat.context import Context, memory_room
from functions.chat.desk import Desk
from parley import limits
from parley.db import recall as found
from parley.db.recall import FoundFact, FoundPassage, Place, Recalled
from parley.db.scope import user_scope
from parley.embedding import QUERY_CHARACTERS, Embedding
from parley.errors import Unavailable
from parley.limits import BudgetExhausted
from parley.llm.models import NoModel
from parley.llm.router import Candidate
from parley.llm.tokens import estimate_tokens
from parley.llm.types import Message, Request
from parley.observability import logger
from parley.recollection import Recollection

if TYPE_CHECKING:
    from functions.chat.events import Numbered
    from functions.chat.running import Turn

# A service that is slow or dead delays a turn by no more.
PATIENCE_S = 0.5
FACTS, PASSAGES = 20, 6
HALF_LIFE_DAYS = 30.0
# A passage that is only near by its vector must be nearer than chance.
LEAST_SIMILARITY = 0.35
# Of the best passage's score, what another must have.
LEAST_SHARE = 0.5


class _Latest:
    """This worker's newest call of the embedding service: while it hangs, no turn waits for another."""

    recollection: Recollection | None = None


def begin(desk: Desk, turn: "Turn") -> Recollection | None:
    """Begin to embed the question; None where nothing is recalled, there is no model, or the last one has not answered yet."""
    if not turn.context.remembers or (_Latest.recollection and _Latest.recollection.is_under_way):
        return None
    embedding = _embedding(desk)
    try:
        _Latest.recollection = embedding.recollection(embedding.call(), turn.context.question.text)
    except NoModel:
        return None
    return _Latest.recollection


def recall(desk: Desk, turn: "Turn") -> Iterator["Numbered"]:
    """Give the turn what its user's memory has for the question, and tell of each; where the database is away, go on without."""
    if not turn.context.remembers or turn.before.parts:
        return
    tokens, kept = memory_room(turn.context, turn.candidates[0])
    vector = turn.recollection.vector(timeout_s=PATIENCE_S) if turn.recollection else None
    try:
        recalled = found.recall(
            desk.engine,
            turn.context.question.text[:QUERY_CHARACTERS],
            user_id=turn.user_id,
            vector=vector,
            place=_place(turn.context, kept),
            facts=FACTS,
            passages=PASSAGES,
            half_life_days=HALF_LIFE_DAYS,
        )
    except Unavailable as exc:
        logger.warning("a turn goes on without its user's memory", turn_id=str(turn.id), reason=str(exc))
        return
    yield from _give(desk, turn, chosen(recalled, budget_tokens=tokens))


def chosen(recalled: Recalled, *, budget_tokens: int) -> Recalled:
    """Return what is near enough and fits, the facts before the passages and the best of each first. No text comes twice."""
    facts = _within(recalled.facts, budget_tokens)
    left = budget_tokens - sum(estimate_tokens(fact.text) for fact in facts)
    best = max((passage.score for passage in recalled.passages), default=0.0)
    near = [passage for passage in recalled.passages if _is_near(passage, best)]
    return Recalled(facts, _within(list({passage.text: passage for passage in near}.values()), left))


def worst_usd(desk: Desk, context: Context) -> Decimal:
    """Return the most that the question's vector costs."""
    if not context.remembers:
        return Decimal(0)
    try:
        model = _embedding(desk).call().model
    except NoModel:
        return Decimal(0)
    return limits.worst_usd([model], Request([Message("user", context.question.text[:QUERY_CHARACTERS])]))


def _give(desk: Desk, turn: "Turn", recalled: Recalled) -> Iterator["Numbered"]:
    facts, passages = [fact.text for fact in recalled.facts], [passage.text for passage in recalled.passages]
    if not facts and not passages:
        return
    context = replace(turn.context, facts=facts, passages=passages)
    candidates, request = prepared(turn.candidates, context)
    if not _is_paid(desk, turn, candidates, request):
        return
    turn.context, turn.candidates, turn.request = context, candidates, request
    if any(fact.is_tainted for fact in recalled.facts) or any(passage.is_tainted for passage in recalled.passages):
        turn.parts.remember()
    for fact in recalled.facts:
        yield turn.recall("fact", fact.id, fact.text)
    for passage in recalled.passages:
        yield turn.recall("passage", passage.id, passage.text)


def _is_paid(desk: Desk, turn: "Turn", candidates: Sequence[Candidate], request: Request) -> bool:
    """Reserve what the longer request costs more; False where the budget has no room for it."""
    models, before = [one.model for one in candidates], [one.model for one in turn.candidates]
    amount_usd = limits.worst_usd(models, request) - limits.worst_usd(before, turn.request)
    if amount_usd <= 0:
        return True
    try:
        with user_scope(desk.engine, turn.user_id) as connection:
            turn.reservations.append(limits.reserve(connection, turn.payer, desk.allowance, amount_usd=amount_usd))
    except (BudgetExhausted, Unavailable) as exc:
        logger.warning("a turn goes on without its user's memory", turn_id=str(turn.id), reason=str(exc))
        return False
    return True


def _place(context: Context, kept: int) -> Place:
    """Return from which message on the conversation is in the window. An answer that is made anew stands behind the question."""
    if context.conversation is None:
        return Place(None, 0)
    behind = 2 if context.question.is_anew else 0
    return Place(context.conversation.id, max(context.conversation.last_seq - kept - behind + 1, 1))


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


def _embedding(desk: Desk) -> Embedding:
    return Embedding(desk.engine, desk.catalogue, desk.environment, desk.embedder_for, desk.allowance)
