"""Quotas: the rate limits and monthly budgets of a user, of an API key, and of the user's paying group. A model call must fit all of them.

One conditional statement takes from every quota, or tells which kind of quota refused; the caller must then roll back. To avoid
deadlocks, rows are always locked in the same order: rates, reservations, budgets, and for each the user's row before the key's, and the
pool of the group, which its members share, last.

Rate limits use the generic cell rate algorithm (GCRA, ITU-T I.371), as `login_throttle` does. The burst is one minute's
requests, so at most twice the limit fits into any minute.
"""

from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cache
from typing import Self
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from parley.db.metering import budgets
from parley.settings import LimitSettings

# The user is warned when this share of a month's budget is spent.
LOW_SHARE = Decimal("0.8")


@dataclass(frozen=True, slots=True)
class BillingSubject:
    """The user whose quotas a call is charged to, and the API key that the call used, if any."""

    user_id: UUID
    api_key_id: UUID | None = None

    @property
    def subjects(self) -> list[UUID]:
        """The ids under which rates and budgets are stored: the user's, then the key's."""
        return [self.user_id, *([self.api_key_id] if self.api_key_id else [])]


@dataclass(frozen=True, slots=True)
class DefaultLimits:
    """The deployment's limits for users and API keys that have no limits of their own."""

    rate_per_minute: int
    budget_usd: Decimal

    @classmethod
    def of(cls, settings: LimitSettings) -> Self:
        """Return the limits in a function's settings."""
        return cls(settings.rate_per_minute, settings.budget_usd)


@dataclass(frozen=True, slots=True)
class ReservationDetail:
    """Details of the model call that a reservation is for. They allow a lost call to be settled by an estimate.

    `input_tokens` is estimated; prices are in USD per million tokens.
    """

    turn_id: UUID | None = None
    model: str | None = None
    provider: str | None = None
    input_tokens: int = 0
    input_usd_per_mtok: Decimal = Decimal(0)
    output_usd_per_mtok: Decimal = Decimal(0)


NO_DETAIL = ReservationDetail()


@dataclass(frozen=True, slots=True)
class QuotaResult:
    """Whether the call fits its quotas. `wait_s` is set if a rate limit refused the call; `has_budget` is False if a budget did.

    `is_low` means that with this call, spent and reserved money may exceed `LOW_SHARE` of the user's or of the API key's budget.
    """

    has_budget: bool
    wait_s: float | None = None
    is_low: bool = False


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
    """Count a request and reserve `amount_usd` under `id`, with `detail`. Both happen, or neither does.

    If the amount is zero, no budget is checked. Set `counts_request` to False for further calls of the same turn.
    """
    needs_budget = amount_usd > 0
    is_stored = needs_budget or detail.turn_id is not None
    if not counts_request and not is_stored:
        return QuotaResult(True)
    values = _quota_values(billing_subject, default_limits) | asdict(detail) | {"id": id, "amount_usd": amount_usd}
    kind = {"counts_request": counts_request, "needs_budget": needs_budget, "is_stored": is_stored}
    row = connection.execute(_quota_statement(len(billing_subject.subjects), **kind), values).one()
    if needs_budget and row.pool_id:
        # The statement has taken nothing yet. Most users have no such group, and their statement stays short.
        row = connection.execute(_quota_statement(len(billing_subject.subjects), **kind, has_pool=True), values).one()
    if row.is_in_rate:
        return QuotaResult(row.is_in_budget, is_low=row.is_low)
    rates = _rates(billing_subject, default_limits, key_rate=int(row.key_rate))
    return QuotaResult(True, rate_wait_s(connection, rates, user_id=billing_subject.user_id))


def _rates(billing_subject: BillingSubject, default_limits: DefaultLimits, *, key_rate: int) -> dict[UUID, int]:
    """Return the requests per minute of each subject."""
    user_rate = {billing_subject.user_id: default_limits.rate_per_minute}
    return user_rate | ({billing_subject.api_key_id: key_rate} if billing_subject.api_key_id else {})


def _quota_values(billing_subject: BillingSubject, default_limits: DefaultLimits) -> dict[str, object]:
    limits = {"rate_per_minute": default_limits.rate_per_minute, "budget_usd": default_limits.budget_usd}
    subjects = {f"subject{number}": subject for number, subject in enumerate(billing_subject.subjects)}
    ids = {"user_id": billing_subject.user_id, "api_key_id": billing_subject.api_key_id, "subjects": billing_subject.subjects}
    return ids | limits | subjects


@cache
def _quota_statement(count: int, *, counts_request: bool, needs_budget: bool, is_stored: bool, has_pool: bool = False) -> TextClause:
    """Return the statement for `count` subjects: a chain of CTEs, each conditional on the previous one.

    Without `has_pool`, the statement takes nothing from the budgets of a user with a paying group, and returns the group's id.
    """
    steps = [_ALLOWED_CTE]
    before = _HAS_NO_POOL if needs_budget and not has_pool else "true"
    for number in range(count if counts_request else 0):
        steps.append(rate_cte(number, condition=f"WHERE {before}"))
        before = f"EXISTS (SELECT FROM taken{number})"
    in_rate = before
    for number in range(count if needs_budget else 0):
        steps.append(budgets.budget_ctes(number, condition=before))
        before = f"EXISTS (SELECT FROM reserved{number})"
    if has_pool:
        steps.append(budgets.pool_ctes(condition=before))
        before = f"(EXISTS (SELECT FROM reserved_pool) OR {_HAS_NO_POOL} AND {before})"
    if is_stored:
        steps.append(budgets.reservation_cte(condition=before))
    budgets_low = [f"(SELECT used_usd FROM reserved{number}) >= {LOW_SHARE} * budget{number}" for number in range(count)]  # noqa: S608
    is_low = f"coalesce({' OR '.join(budgets_low)}, false)" if needs_budget else "false"
    verdict = f"{in_rate} AS is_in_rate, {before} AS is_in_budget, {is_low} AS is_low"
    return text(f"WITH {', '.join(steps)} SELECT {verdict}, rate1 AS key_rate, pool_id FROM allowed")  # noqa: S608


def rate_cte(number: int, *, condition: str) -> str:
    """Return the CTE `taken{number}`, which has a row if bucket `number` had room. The CTE `allowed` must precede it.

    A full bucket is free again within a minute. If it says much later, the database's clock was set back, and it counts as empty.
    """
    every = f"make_interval(secs => 60.0 / rate{number})"
    interval = f"(SELECT {every} FROM allowed)"  # noqa: S608 - constants only
    return f"""
        taken{number} AS (
            INSERT INTO rate_limits AS r (user_id, subject_id, free_at)
            SELECT :user_id, :subject{number}, now() + {every} FROM allowed {condition}
            ON CONFLICT (user_id, subject_id) DO UPDATE
               SET free_at = CASE WHEN {_IS_OF_LATER_CLOCK} THEN now() ELSE greatest(r.free_at, now()) END + {interval}
             WHERE r.free_at <= now() + interval '1 minute' - {interval} OR {_IS_OF_LATER_CLOCK}
            RETURNING r.subject_id
        )"""  # noqa: S608 - constants only


def rate_wait_s(connection: Connection, subjects: dict[UUID, int], *, user_id: UUID) -> float:
    """Return the seconds until all of `subjects`, given with their requests per minute, have room again.

    This is a separate statement, because the statement that refused saw the rows as they were before it waited for their locks.
    """
    rows = connection.execute(_RATE_WAIT, {"user_id": user_id, "subjects": list(subjects)}).all()
    return max((float(row.seconds) - 60 + 60 / subjects[row.subject_id] for row in rows), default=0.0)


def lock_rate(connection: Connection, *, user_id: UUID) -> None:
    """Lock the user's rate limit, as `take_quota` does for a counted request, but without counting one.

    Transactions that take this lock first run one after the other for each user.
    """
    connection.execute(_LOCK_RATE, {"user_id": user_id})


def sweep_rate_limits(connection: Connection) -> int:
    """Delete buckets that have been empty for an hour and return their number. Requires the background role."""
    return connection.execute(text("DELETE FROM rate_limits WHERE free_at < now() - interval '1 hour'")).rowcount


# The limits of the user (0), of the API key (1) and of the group (the pool). A key without its own limits has the user's rate and no
# budget. A user's budget is what an admin has set for the user, else the share of the paying group, else the deployment's default.
_ALLOWED_CTE = """
        allowed AS MATERIALIZED (
            SELECT CAST(:rate_per_minute AS numeric) AS rate0, coalesce(u.monthly_budget_usd, g.member_budget_usd, :budget_usd) AS budget0,
                   CAST(coalesce(k.rate_per_minute, :rate_per_minute) AS numeric) AS rate1,
                   coalesce(k.monthly_budget_usd, 'Infinity') AS budget1, m.group_id AS pool_id, g.monthly_budget_usd AS pool_usd
              FROM users u LEFT JOIN api_keys k ON k.user_id = u.id AND k.id = :api_key_id
              LEFT JOIN group_members m ON m.user_id = u.id AND m.pays
              LEFT JOIN groups g ON g.id = m.group_id
             WHERE u.id = :user_id
        )"""
# `now()` is the beginning of the transaction, which may have waited for the row, but not for a minute.
_IS_OF_LATER_CLOCK = "r.free_at > now() + interval '2 minutes'"
_HAS_NO_POOL = "EXISTS (SELECT FROM allowed WHERE pool_id IS NULL)"
_LOCK_RATE = text(
    """
    INSERT INTO rate_limits AS r (user_id, subject_id, free_at) VALUES (:user_id, :user_id, now())
    ON CONFLICT (user_id, subject_id) DO UPDATE SET free_at = r.free_at
    """
)
_RATE_WAIT = text(
    """
    SELECT subject_id, extract(epoch FROM free_at - clock_timestamp()) AS seconds
      FROM rate_limits WHERE user_id = :user_id AND subject_id = ANY(:subjects)
    """
)
