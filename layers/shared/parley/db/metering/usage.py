"""Usage: the tokens and cost of each model call. Token counts and costs are read from here only.

Also settles the reservations of a turn whose function died, by an estimate.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, Date, and_, cast, func, or_, select, text

from parley.db.metering import budgets
from parley.db.metering.quotas import BillingSubject
from parley.db.tables import usage

type CallPurpose = Literal["chat", "summary", "title", "facts", "describe", "embedding", "rerank"]


type ChargeStatus = Literal["completed", "stopped", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class Charge:
    """One call of a model. `model` is the catalogue's id; `is_estimate` says that the provider did not count."""

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
    """What the calls of one model took in one day of UTC."""

    day: date
    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class UsageCursor:
    """Where a page of lines ended."""

    day: date
    model: str


def settle(
    connection: Connection,
    billing_subject: BillingSubject,
    charges: Sequence[Charge],
    *,
    reservations: Sequence[UUID],
    turn_id: UUID | None,
) -> bool:
    """Store the calls, free what was reserved for them and count what they cost, in one statement.

    Done again, it changes nothing: a call that is stored is not counted twice. Returns whether anything was still reserved.
    """
    values = {
        "user_id": billing_subject.user_id,
        "api_key_id": billing_subject.api_key_id,
        "turn_id": turn_id,
        "reservations": list(reservations),
    }
    values |= {f"subject{number}": subject for number, subject in enumerate(billing_subject.subjects)}
    statement = text(_settle_statement(len(billing_subject.subjects)))
    done = connection.execute(statement, values | {"charges": json.dumps([_charge_json(charge) for charge in charges])}).one()
    return bool(done.released)


def daily_usage(
    connection: Connection, *, user_id: UUID, start: datetime, end: datetime, limit: int, after: UsageCursor | None
) -> list[DailyUsage]:
    """Add up the user's calls in [start, end) by day and model, newest day first, from the line after `after` on."""
    day = cast(func.timezone("UTC", usage.c.at), Date)
    sums = [func.sum(usage.c[name]).label(name) for name in ("input_tokens", "output_tokens", "cost_usd")]
    statement = select(day.label("day"), usage.c.model, *sums).where(usage.c.user_id == user_id, usage.c.at >= start, usage.c.at < end)
    if after:
        statement = statement.where(or_(day < after.day, and_(day == after.day, usage.c.model > after.model)))
    statement = statement.group_by(day, usage.c.model).order_by(day.desc(), usage.c.model).limit(limit)
    return [DailyUsage(**row._mapping) for row in connection.execute(statement)]


def parse_model(value: object) -> str:
    """Read a model's id that a client gives back; ValueError if it cannot be one."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(f"{value!r} names no model")
    return value


def _charge_json(charge: Charge) -> dict[str, object]:
    return asdict(charge) | {"id": str(charge.id), "cost_usd": str(charge.cost_usd)}


def _settle_statement(count: int) -> str:
    steps = [_BILLED_CTE, budgets.RELEASED_CTE]
    # The key's budget is locked after the user's.
    for number in range(count):
        before = f"(SELECT count(*) >= 0 FROM paid{number - 1})" if number else "true"  # noqa: S608 - a number
        steps.append(budgets.payment_cte(number, condition=before))
    return f"WITH {', '.join(steps)} SELECT (SELECT count(*) FROM paid{count - 1}), (SELECT count(*) FROM released) AS released"  # noqa: S608 - our own texts


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


@dataclass(frozen=True, slots=True)
class UnsettledCall:
    """A reservation whose call nobody has paid for, of the user or of the API key that they called with."""

    id: UUID
    subject_id: UUID
    model: str
    provider: str
    input_tokens: int
    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal


@dataclass(frozen=True, slots=True)
class TurnCost:
    """What all calls of a turn took."""

    input_tokens: int
    output_tokens: int
    cost_usd: Decimal


def settle_lost_calls(connection: Connection, turn_id: UUID, *, user_id: UUID, output_tokens: int) -> TurnCost:
    """Pay by a flagged estimate for the open calls of a turn whose function died, and free what was reserved for them.

    Each reservation counts as one call with the input that was guessed for it, the last one with what of `output_tokens`, all
    that the turn is known to have said, was not paid for before. Returns what the turn took in all; done again, it changes
    nothing. The caller must undo it where the turn turns out to live: who ends a turn pays for it.
    """
    before = TurnCost(**connection.execute(_TURN_COST, {"user_id": user_id, "turn_id": turn_id}).one()._mapping)
    charges = _charge_unsettled(connection, turn_id, user_id=user_id, output_tokens=max(output_tokens - before.output_tokens, 0))
    cost_usd = sum((one.cost_usd for one in charges), before.cost_usd)
    # At least what was said, also where nothing is left to tell what it cost.
    said = max(before.output_tokens + sum(one.output_tokens for one in charges), output_tokens)
    return TurnCost(before.input_tokens + sum(one.input_tokens for one in charges), said, cost_usd)


def _charge_unsettled(connection: Connection, turn_id: UUID, *, user_id: UUID, output_tokens: int) -> list[Charge]:
    found = [UnsettledCall(**row._mapping) for row in connection.execute(_UNSETTLED, {"user_id": user_id, "turn_id": turn_id})]
    keys = {one.subject_id for one in found} - {user_id}
    calls = [one for one in found if one.subject_id == user_id]
    charges = [_estimated_charge(call, output_tokens if call is calls[-1] else 0) for call in calls]
    if charges:
        billing_subject = BillingSubject(user_id, next(iter(keys), None))
        settle(connection, billing_subject, charges, reservations=[call.id for call in calls], turn_id=turn_id)
    return charges


def _estimated_charge(call: UnsettledCall, output_tokens: int) -> Charge:
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


_TURN_COST = text(
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
