"""Usage: what each call of a model took. The one place to read tokens and cost from."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection, Date, and_, cast, func, or_, select, text

from parley.db import budgets
from parley.db.admissions import Payer
from parley.db.tables import usage

type Purpose = Literal["chat", "summary", "title", "facts", "describe", "embedding", "rerank"]
type CallStatus = Literal["completed", "stopped", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class Charge:
    """One call of a model. `model` is the catalogue's id; `is_estimate` says that the provider did not count."""

    id: UUID
    purpose: Purpose
    model: str
    provider: str
    status: CallStatus
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    is_estimate: bool = False


@dataclass(frozen=True, slots=True)
class DayLine:
    """What the calls of one model took in one day of UTC."""

    day: date
    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of lines ended."""

    day: date
    model: str


def settle(connection: Connection, payer: Payer, charges: Sequence[Charge], *, reservations: Sequence[UUID], turn_id: UUID | None) -> bool:
    """Store the calls, free what was reserved for them and count what they cost, in one statement.

    Done again, it changes nothing: a call that is stored is not counted twice. Returns whether anything was still reserved.
    """
    values = {"user_id": payer.user_id, "api_key_id": payer.api_key_id, "turn_id": turn_id, "reservations": list(reservations)}
    values |= {f"subject{number}": subject for number, subject in enumerate(payer.subjects)}
    statement = text(_settling(len(payer.subjects)))
    done = connection.execute(statement, values | {"charges": json.dumps([_plain(charge) for charge in charges])}).one()
    return bool(done.released)


def days(connection: Connection, *, user_id: UUID, start: datetime, end: datetime, limit: int, after: Place | None) -> list[DayLine]:
    """Add up the user's calls in [start, end) by day and model, newest day first, from the line after `after` on."""
    day = cast(func.timezone("UTC", usage.c.at), Date)
    sums = [func.sum(usage.c[name]).label(name) for name in ("input_tokens", "output_tokens", "cost_usd")]
    statement = select(day.label("day"), usage.c.model, *sums).where(usage.c.user_id == user_id, usage.c.at >= start, usage.c.at < end)
    if after:
        statement = statement.where(or_(day < after.day, and_(day == after.day, usage.c.model > after.model)))
    statement = statement.group_by(day, usage.c.model).order_by(day.desc(), usage.c.model).limit(limit)
    return [DayLine(**row._mapping) for row in connection.execute(statement)]


def checked_model(value: object) -> str:
    """Read a model's id that a client gives back; ValueError if it cannot be one."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(f"{value!r} names no model")
    return value


def _plain(charge: Charge) -> dict[str, object]:
    return asdict(charge) | {"id": str(charge.id), "cost_usd": str(charge.cost_usd)}


def _settling(count: int) -> str:
    steps = [_BILLED, budgets.RELEASED]
    # The key's budget is locked after the user's.
    for number in range(count):
        before = f"(SELECT count(*) >= 0 FROM paid{number - 1})" if number else "true"  # noqa: S608 - a number
        steps.append(budgets.paying(number, condition=before))
    return f"WITH {', '.join(steps)} SELECT (SELECT count(*) FROM paid{count - 1}), (SELECT count(*) FROM released) AS released"  # noqa: S608 - our own texts


_BILLED = """
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
