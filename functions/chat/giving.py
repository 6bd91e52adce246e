"""Puts what was looked up for a question into the request of its turn."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from functions.chat.choosing import prepared
from functions.chat.desk import Desk
from parley.db.transactions import user_scope
from parley.errors import Unavailable
from parley.llm.messages import ModelRequest
from parley.llm.router import Candidate
from parley.metering import limits
from parley.metering.limits import BudgetExhausted
from parley.observability import logger

if TYPE_CHECKING:
    from functions.chat.running import Turn


def give(services: Desk, turn: "Turn", **found: Any) -> bool:
    """Put `found`, fields of the context, into the turn's request; False, and all stays as it is, where the budget has no room for it."""
    context = replace(turn.context, **found)
    candidates, request = prepared(turn.candidates, context)
    if not _is_paid(services, turn, candidates, request):
        return False
    turn.context, turn.candidates, turn.request = context, candidates, request
    return True


def _is_paid(services: Desk, turn: "Turn", candidates: Sequence[Candidate], request: ModelRequest) -> bool:
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
