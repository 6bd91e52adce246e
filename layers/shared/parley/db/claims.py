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


def settle_lost(connection: Connection, turn_id: UUID, *, user_id: UUID, output_tokens: int) -> list[Charge]:
    """Pay by a flagged estimate for the calls of a turn whose function died, and free what was reserved.

    Each reservation counts as one call with the input that was guessed for it, the last one with what was said. Returns
    what was charged, in the order of the calls; done again, it changes nothing. The caller must undo it where
    the turn turns out to live: who ends a turn pays for it.
    """
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


_UNSETTLED = text(
    """
    SELECT id, subject_id, model, provider, input_tokens, input_usd_per_mtok, output_usd_per_mtok
      FROM budget_reservations WHERE user_id = :user_id AND turn_id = :turn_id ORDER BY id
    """
)
