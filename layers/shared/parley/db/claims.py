"""What is reserved for the calls of a turn, and what it is for: enough to pay for them when their function has died."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, text

from parley.db import usage
from parley.db.admissions import Payer
from parley.db.usage import Charge


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A reservation whose call nobody has paid for, of the user or of the API key that they called with."""

    id: UUID
    subject_id: UUID
    model: str
    provider: str
    input_tokens: int
    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal


@dataclass(frozen=True, slots=True)
class Spent:
    """What all calls of a turn took."""

    input_tokens: int
    output_tokens: int
    cost_usd: Decimal


def settle_lost(connection: Connection, turn_id: UUID, *, user_id: UUID, output_tokens: int) -> Spent:
    """Pay by a flagged estimate for the open calls of a turn whose function died, and free what was reserved for them.

    Each reservation counts as one call with the input that was guessed for it, the last one with what of `output_tokens`, all
    that the turn is known to have said, was not paid for before. Returns what the turn took in all; done again, it changes
    nothing. The caller must undo it where the turn turns out to live: who ends a turn pays for it.
    """
    before = Spent(**connection.execute(_SPENT, {"user_id": user_id, "turn_id": turn_id}).one()._mapping)
    charges = _settle(connection, turn_id, user_id=user_id, output_tokens=max(output_tokens - before.output_tokens, 0))
    cost_usd = sum((one.cost_usd for one in charges), before.cost_usd)
    # At least what was said, also where nothing is left to tell what it cost.
    said = max(before.output_tokens + sum(one.output_tokens for one in charges), output_tokens)
    return Spent(before.input_tokens + sum(one.input_tokens for one in charges), said, cost_usd)


def _settle(connection: Connection, turn_id: UUID, *, user_id: UUID, output_tokens: int) -> list[Charge]:
    found = [Unsettled(**row._mapping) for row in connection.execute(_UNSETTLED, {"user_id": user_id, "turn_id": turn_id})]
    keys = {one.subject_id for one in found} - {user_id}
    calls = [one for one in found if one.subject_id == user_id]
    charges = [_charge(call, output_tokens if call is calls[-1] else 0) for call in calls]
    if charges:
        payer = Payer(user_id, next(iter(keys), None))
        usage.settle(connection, payer, charges, reservations=[call.id for call in calls], turn_id=turn_id)
    return charges


def _charge(call: Unsettled, output_tokens: int) -> Charge:
    """Charge for a call under its reservation's id."""
    cost_usd = (call.input_tokens * call.input_usd_per_mtok + output_tokens * call.output_usd_per_mtok) / 1_000_000
    return Charge(
        call.id,
        "chat",
        call.model,
        call.provider,
        "interrupted",
        input_tokens=call.input_tokens,
        output_tokens=output_tokens,
        cost_usd=cost_usd,
        is_estimate=True,
    )


_SPENT = text(
    """
    SELECT coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens,
           coalesce(sum(cost_usd), 0) AS cost_usd
      FROM usage WHERE user_id = :user_id AND turn_id = :turn_id
    """
)
_UNSETTLED = text(
    """
    SELECT id, subject_id, model, provider, input_tokens, input_usd_per_mtok, output_usd_per_mtok
      FROM budget_reservations WHERE user_id = :user_id AND turn_id = :turn_id ORDER BY id
    """
)
