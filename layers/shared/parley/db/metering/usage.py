"""Usage: the tokens and cost of each model call. This is the only source of token counts and costs.

`settle` records finished calls; `settle_lost_calls` charges an estimate for the calls of a turn whose function died.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, Date, TextClause, and_, cast, func, or_, select, text

from parley.db.metering import budgets
from parley.db.metering.quotas import BillingSubject
from parley.db.tables import usage

type CallPurpose = Literal["chat", "summary", "title", "facts", "describe", "embedding", "rerank"]
type ChargeStatus = Literal["completed", "stopped", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge for one model call. `model` is an id of the model catalogue. `is_estimate` means that the provider reported no usage."""

    id: UUID
    purpose: CallPurpose
    model: str
    provider: str
    status: ChargeStatus
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    is_estimate: bool = False


@dataclass(frozen=True, slots=True)
class DailyUsage:
    """The usage of one model on one day (UTC)."""

    day: date
    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class UsageCursor:
    """The sort key of the last row of a page of daily usage."""

    day: date
    model: str


@dataclass(frozen=True, slots=True)
class UnsettledCall:
    """A reservation whose call was never settled. `subject_id` is the user or the API key."""

    id: UUID
    subject_id: UUID
    model: str
    provider: str
    input_tokens: int
    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal


@dataclass(frozen=True, slots=True)
class TurnCost:
    """The total usage of a turn's calls."""

    input_tokens: int
    output_tokens: int
    cost_usd: Decimal


def settle(
    connection: Connection,
    billing_subject: BillingSubject,
    charges: Sequence[Charge],
    *,
    reservations: Sequence[UUID],
    turn_id: UUID | None,
) -> bool:
    """Store charges, release their reservations and add the cost to the budgets, in one statement.

    Safe to repeat: a stored charge is not counted twice. Returns whether any reservation was released.
    """
    values = {
        "user_id": billing_subject.user_id,
        "api_key_id": billing_subject.api_key_id,
        "turn_id": turn_id,
        "reservations": list(reservations),
        "subjects": billing_subject.subjects,
    }
    values |= {f"subject{number}": subject for number, subject in enumerate(billing_subject.subjects)}
    statement = _settle_statement(len(billing_subject.subjects))
    row = connection.execute(statement, values | {"charges": json.dumps([_charge_json(charge) for charge in charges])}).one()
    return bool(row.released)


def daily_usage(
    connection: Connection, *, user_id: UUID, start: datetime, end: datetime, limit: int, after: UsageCursor | None
) -> list[DailyUsage]:
    """Sum the user's calls in [start, end) by day and model, newest day first, after the cursor `after`."""
    day = cast(func.timezone("UTC", usage.c.at), Date)
    sums = [func.sum(usage.c[name]).label(name) for name in ("input_tokens", "output_tokens", "cost_usd")]
    statement = select(day.label("day"), usage.c.model, *sums).where(usage.c.user_id == user_id, usage.c.at >= start, usage.c.at < end)
    if after:
        statement = statement.where(or_(day < after.day, and_(day == after.day, usage.c.model > after.model)))
    statement = statement.group_by(day, usage.c.model).order_by(day.desc(), usage.c.model).limit(limit)
    return [DailyUsage(**row._mapping) for row in connection.execute(statement)]


def _charge_json(charge: Charge) -> dict[str, object]:
    return asdict(charge) | {"id": str(charge.id), "cost_usd": str(charge.cost_usd)}


@cache
def _settle_statement(count: int) -> TextClause:
    steps = [_BILLED_CTE, budgets.RELEASED_CTE]
    # Each budget waits for the previous one, so that the key's budget is locked after the user's, and the group's pool last.
    for number in range(count):
        before = f"(SELECT count(*) >= 0 FROM paid{number - 1})" if number else "true"  # noqa: S608 - a number
        steps.append(budgets.payment_cte(number, condition=before))
    last = f"(SELECT count(*) >= 0 FROM paid{count - 1})"  # noqa: S608 - a number
    steps.append(budgets.pool_payment_cte(condition=last))
    return text(f"WITH {', '.join(steps)} SELECT (SELECT count(*) FROM paid_pool), (SELECT count(*) FROM released) AS released")  # noqa: S608 - constants only


def settle_lost_calls(connection: Connection, turn_id: UUID, *, user_id: UUID, output_tokens: int) -> TurnCost:
    """Charge an estimate for the unsettled calls of a turn whose function died, and release their reservations.

    Each reservation is charged as one call with its estimated input. `output_tokens` is the turn's total known output; the last
    call is charged for the part not charged yet. Returns the turn's total cost; safe to repeat. The caller must roll back if the
    turn turns out to be alive: only the process that ends a turn may settle it.
    """
    before = TurnCost(**connection.execute(_TURN_COST, {"user_id": user_id, "turn_id": turn_id}).one()._mapping)
    charges = _charge_unsettled(connection, turn_id, user_id=user_id, output_tokens=max(output_tokens - before.output_tokens, 0))
    return TurnCost(
        input_tokens=before.input_tokens + sum(charge.input_tokens for charge in charges),
        # At least the known output, even if no reservation is left to charge it to.
        output_tokens=max(before.output_tokens, output_tokens),
        cost_usd=sum((charge.cost_usd for charge in charges), before.cost_usd),
    )


def _charge_unsettled(connection: Connection, turn_id: UUID, *, user_id: UUID, output_tokens: int) -> list[Charge]:
    rows = connection.execute(_UNSETTLED, {"user_id": user_id, "turn_id": turn_id})
    reservations = [UnsettledCall(**row._mapping) for row in rows]
    keys = {reservation.subject_id for reservation in reservations} - {user_id}
    calls = [reservation for reservation in reservations if reservation.subject_id == user_id]
    charges = [_estimated_charge(call, output_tokens if call is calls[-1] else 0) for call in calls]
    if charges:
        billing_subject = BillingSubject(user_id, next(iter(keys), None))
        settle(connection, billing_subject, charges, reservations=[call.id for call in calls], turn_id=turn_id)
    return charges


def _estimated_charge(call: UnsettledCall, output_tokens: int) -> Charge:
    """Return the estimated charge of a call. Its id is the reservation's, so that storing it again changes nothing."""
    cost_usd = (call.input_tokens * call.input_usd_per_mtok + output_tokens * call.output_usd_per_mtok) / 1_000_000
    return Charge(
        id=call.id,
        purpose="chat",
        model=call.model,
        provider=call.provider,
        status="interrupted",
        input_tokens=call.input_tokens,
        output_tokens=output_tokens,
        cost_usd=cost_usd,
        is_estimate=True,
    )


_BILLED_CTE = """
        billed AS (
            INSERT INTO usage (user_id, id, turn_id, api_key_id, purpose, model, provider, status,
                               input_tokens, output_tokens, cached_input_tokens, cost_usd, is_estimate)
            SELECT :user_id, c.id, CAST(:turn_id AS uuid), CAST(:api_key_id AS uuid), c.purpose, c.model, c.provider, c.status,
                   c.input_tokens, c.output_tokens, c.cached_input_tokens, c.cost_usd, c.is_estimate
              FROM jsonb_to_recordset(CAST(:charges AS jsonb)) AS c (
                   id uuid, purpose text, model text, provider text, status text, input_tokens integer,
                   output_tokens integer, cached_input_tokens integer, cost_usd numeric, is_estimate boolean)
            ON CONFLICT (user_id, id) DO NOTHING
            RETURNING cost_usd
        )"""
_TURN_COST = text(
    """
    SELECT coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens,
           coalesce(sum(cost_usd), 0) AS cost_usd
      FROM usage WHERE user_id = :user_id AND turn_id = :turn_id
    """
)
_UNSETTLED = text(
    """
    SELECT r.id, r.subject_id, r.model, r.provider, r.input_tokens, r.input_usd_per_mtok, r.output_usd_per_mtok
      FROM budget_reservations r LEFT JOIN api_keys k ON k.user_id = r.user_id AND k.id = r.subject_id
     WHERE r.user_id = :user_id AND r.turn_id = :turn_id AND (r.subject_id = r.user_id OR k.id IS NOT NULL)
     ORDER BY r.id
    """
)
