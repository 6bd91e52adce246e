"""Quotas: the rate limit and the monthly budget that a model call must fit, of the user and of the API key.

One conditional statement takes from all of them, or shows which one refused; the caller must then roll its transaction
back. Rows are locked in one order everywhere: rates, reservations, budgets, each the user's before the key's.

Rate limits use the generic cell rate algorithm (GCRA, ITU-T I.371), as in `login_throttle`. The burst is the requests of
one minute, so no minute lets more than twice that number through.
"""

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Self
from uuid import UUID

from sqlalchemy import Connection, text

from parley.db.metering import budgets
from parley.settings import LimitSettings


def rate_cte(number: int, *, condition: str) -> str:
    """Write the CTE `taken{number}`: it has a row if bucket `number` had room. `allowed` must stand before it."""
    every = f"make_interval(secs => 60.0 / rate{number})"
    chosen = f"(SELECT {every} FROM allowed)"  # noqa: S608 - our own text
    return f"""
        taken{number} AS (
            INSERT INTO rate_limits AS r (user_id, subject_id, free_at)
            SELECT :user_id, :subject{number}, now() + {every} FROM allowed {condition}
            ON CONFLICT (user_id, subject_id) DO UPDATE SET free_at = greatest(r.free_at, now()) + {chosen}
             WHERE r.free_at <= now() + interval '1 minute' - {chosen}
            RETURNING r.subject_id
        )"""  # noqa: S608 - numbers and our own texts


def rate_wait_s(connection: Connection, subjects: dict[UUID, int], *, user_id: UUID) -> float:
    """Return after how many seconds each of the subjects, with its requests a minute, has room again.

    A statement of its own: the one that was refused saw the rows as they had been before it waited for their locks.
    """
    found = connection.execute(_RATE_WAIT, {"user_id": user_id, "subjects": list(subjects)}).all()
    return max((float(row.seconds) - 60 + 60 / subjects[row.subject_id] for row in found), default=0.0)


def sweep_rate_limits(connection: Connection) -> int:
    """Delete the buckets that are empty; return how many. Needs the background role."""
    return connection.execute(text("DELETE FROM rate_limits WHERE free_at < now() - interval '1 hour'")).rowcount


_RATE_WAIT = text(
    """
    SELECT subject_id, extract(epoch FROM free_at - clock_timestamp()) AS seconds
      FROM rate_limits WHERE user_id = :user_id AND subject_id = ANY(:subjects)
    """
)


# What holds for the user and for the key; a key without figures of its own has the user's rate and no budget.
_ALLOWED_CTE = """
        allowed AS MATERIALIZED (
            SELECT CAST(:rate_per_minute AS numeric) AS rate0, coalesce(u.monthly_budget_usd, :budget_usd) AS budget0,
                   CAST(coalesce(k.rate_per_minute, :rate_per_minute) AS numeric) AS rate1,
                   coalesce(k.monthly_budget_usd, 'Infinity') AS budget1
              FROM users u LEFT JOIN api_keys k ON k.user_id = u.id AND k.id = :api_key_id
             WHERE u.id = :user_id
        )"""


@dataclass(frozen=True, slots=True)
class BillingSubject:
    """Who is counted and charged: a user, and the API key that they called with."""

    user_id: UUID
    api_key_id: UUID | None = None

    @property
    def subjects(self) -> list[UUID]:
        """Return the ids that have rates and budgets."""
        return [self.user_id, *([self.api_key_id] if self.api_key_id else [])]


@dataclass(frozen=True, slots=True)
class DefaultLimits:
    """What the deployment allows who has no figures of their own."""

    rate_per_minute: int
    budget_usd: Decimal

    @classmethod
    def of(cls, settings: LimitSettings) -> Self:
        """Make it from a function's settings."""
        return cls(settings.rate_per_minute, settings.budget_usd)


@dataclass(frozen=True, slots=True)
class ReservationDetail:
    """What is reserved for: a turn's call of a model, its input as guessed, and prices in USD a million tokens."""

    turn_id: UUID | None = None
    model: str | None = None
    provider: str | None = None
    input_tokens: int = 0
    input_usd_per_mtok: Decimal = Decimal(0)
    output_usd_per_mtok: Decimal = Decimal(0)


NO_DETAIL = ReservationDetail()


@dataclass(frozen=True, slots=True)
class QuotaResult:
    """Whether there was room. `wait_s` is None unless the rate refused."""

    has_budget: bool
    wait_s: float | None = None


def take_quota(
    connection: Connection,
    billing_subject: BillingSubject,
    default_limits: DefaultLimits,
    *,
    id: UUID,
    amount_usd: Decimal,
    counts_request: bool = True,
    detail: ReservationDetail = NO_DETAIL,
) -> QuotaResult:
    """Count a request and reserve money under the id, both or neither, and note what for.

    No money is asked for where `amount_usd` is zero, and no request is counted for a turn's further calls.
    """
    asks_money, is_kept = amount_usd > 0, amount_usd > 0 or detail.turn_id is not None
    if not counts_request and not is_kept:
        return QuotaResult(True)
    values = (
        _quota_values(billing_subject, default_limits)
        | asdict(detail)
        | {"id": id, "amount_usd": amount_usd, "subjects": billing_subject.subjects}
    )
    statement = _quota_statement(len(billing_subject.subjects), counts_request=counts_request, asks_money=asks_money, is_kept=is_kept)
    found = connection.execute(text(statement), values).one()
    if found.is_in_rate:
        return QuotaResult(found.is_in_budget)
    rates = dict.fromkeys(billing_subject.subjects, default_limits.rate_per_minute)
    if billing_subject.api_key_id:
        rates[billing_subject.api_key_id] = int(found.key_rate)
    return QuotaResult(True, rate_wait_s(connection, rates, user_id=billing_subject.user_id))


def _quota_values(billing_subject: BillingSubject, default_limits: DefaultLimits) -> dict[str, object]:
    limits = {"rate_per_minute": default_limits.rate_per_minute, "budget_usd": default_limits.budget_usd}
    subjects = {f"subject{number}": subject for number, subject in enumerate(billing_subject.subjects)}
    return {"user_id": billing_subject.user_id, "api_key_id": billing_subject.api_key_id} | limits | subjects


def _quota_statement(count: int, *, counts_request: bool, asks_money: bool, is_kept: bool) -> str:
    """Chain the steps: each is only taken if the one before had room."""
    steps, before = [_ALLOWED_CTE], "true"
    for number in range(count if counts_request else 0):
        steps.append(rate_cte(number, condition=f"WHERE {before}"))
        before = f"EXISTS (SELECT FROM taken{number})"
    in_rate = before
    for number in range(count if asks_money else 0):
        steps.append(budgets.budget_ctes(number, condition=before))
        before = f"EXISTS (SELECT FROM held{number})"
    if is_kept:
        steps.append(budgets.reservation_cte(condition=before))
    return f"WITH {', '.join(steps)} SELECT {in_rate} AS is_in_rate, {before} AS is_in_budget, rate1 AS key_rate FROM allowed"  # noqa: S608
