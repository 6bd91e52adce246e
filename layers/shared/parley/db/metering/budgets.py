"""Budgets: the money spent and reserved in each month, for each user, each API key, and each group with a budget of its own (its pool).

A model call reserves its maximum cost before it starts and is settled when it ends. If its function dies, the next
reservation after 15 minutes frees the amount; the row stays until the turn is ended and settled, or the sweep deletes it.
`quotas` and `usage` compose the SQL fragments of this module. Months are in UTC, and a call is charged to the month of its
reservation.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, text

MONTH = "CAST(date_trunc('month', now() AT TIME ZONE 'UTC') AS date)"
NEXT_MONTH = "(date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'"


@dataclass(frozen=True, slots=True)
class Budget:
    """A user's budget of the current month. `reserved_usd` is the maximum cost of the calls in progress.

    `pool_left_usd` is what the members of the user's paying group can still reserve together, None without such a group.
    """

    monthly_usd: Decimal
    spent_usd: Decimal
    reserved_usd: Decimal
    pool_left_usd: Decimal | None
    resets_at: datetime

    @property
    def left_usd(self) -> Decimal:
        """The amount that the user can still reserve."""
        own_usd = self.monthly_usd - self.spent_usd - self.reserved_usd
        return max(own_usd if self.pool_left_usd is None else min(own_usd, self.pool_left_usd), Decimal(0))


def budget_ctes(number: int, *, condition: str) -> str:
    """Return the CTEs `freed{number}` and `reserved{number}`; `reserved{number}` has a row if budget `number` had room.

    The CTE `allowed` must precede them. Without `condition`, nothing is freed either: the amount would be freed but not given back.
    Expired reservations locked by another transaction are skipped, because waiting for them could deadlock.
    """
    freed = f"(SELECT coalesce(sum(amount_usd), 0) FROM freed{number})"  # noqa: S608 - a number
    return f"""
        freed{number} AS (
            UPDATE budget_reservations r SET amount_usd = 0
              FROM (SELECT id, amount_usd FROM budget_reservations
                     WHERE user_id = :user_id AND subject_id = :subject{number} AND month = {MONTH} AND amount_usd > 0
                       AND expires_at <= now() AND {condition}
                       FOR UPDATE SKIP LOCKED) expired
             WHERE r.user_id = :user_id AND r.subject_id = :subject{number} AND r.id = expired.id
            RETURNING expired.amount_usd
        ),
        reserved{number} AS (
            INSERT INTO budgets AS b (user_id, subject_id, month, reserved_usd)
            SELECT :user_id, :subject{number}, {MONTH}, :amount_usd FROM allowed WHERE :amount_usd <= budget{number} AND {condition}
            ON CONFLICT (user_id, subject_id, month) DO UPDATE
               SET reserved_usd = b.reserved_usd - {freed} + EXCLUDED.reserved_usd
             WHERE b.spent_usd + b.reserved_usd - {freed} + EXCLUDED.reserved_usd <= (SELECT budget{number} FROM allowed)
            RETURNING b.subject_id, b.spent_usd + b.reserved_usd AS used_usd
        )"""  # noqa: S608 - constants only


def pool_ctes(*, condition: str) -> str:
    """Return the CTEs `freed_pool` and `reserved_pool`, as `budget_ctes` does, for the group in `allowed`, if there is one."""
    group = "(SELECT pool_id FROM allowed)"
    freed = "(SELECT coalesce(sum(amount_usd), 0) FROM freed_pool)"
    return f"""
        freed_pool AS (
            UPDATE budget_reservations r SET amount_usd = 0
              FROM (SELECT id, amount_usd FROM budget_reservations
                     WHERE user_id = :user_id AND subject_id = {group} AND month = {MONTH} AND amount_usd > 0
                       AND expires_at <= now()
                       FOR UPDATE SKIP LOCKED) expired
             WHERE r.user_id = :user_id AND r.subject_id = {group} AND r.id = expired.id
            RETURNING expired.amount_usd
        ),
        reserved_pool AS (
            INSERT INTO group_budgets AS b (group_id, month, reserved_usd)
            SELECT pool_id, {MONTH}, :amount_usd FROM allowed WHERE :amount_usd <= pool_usd AND {condition}
            ON CONFLICT (group_id, month) DO UPDATE
               SET reserved_usd = b.reserved_usd - {freed} + EXCLUDED.reserved_usd
             WHERE b.spent_usd + b.reserved_usd - {freed} + EXCLUDED.reserved_usd <= (SELECT pool_usd FROM allowed)
            RETURNING b.group_id
        )"""  # noqa: S608 - constants only


def reservation_cte(*, condition: str) -> str:
    """Return the CTE that stores a reservation for every subject, even if the amount is zero, because lost calls are found by it."""
    return f"""
        stored_reservation AS (
            INSERT INTO budget_reservations (user_id, subject_id, id, month, amount_usd, expires_at, turn_id, model, provider,
                                             input_tokens, input_usd_per_mtok, output_usd_per_mtok)
            SELECT :user_id, subject_id, :id, {MONTH}, :amount_usd, now() + interval '15 minutes', CAST(:turn_id AS uuid),
                   CAST(:model AS text), CAST(:provider AS text), :input_tokens, :input_usd_per_mtok, :output_usd_per_mtok
              FROM (SELECT unnest(CAST(:subjects AS uuid[])) UNION ALL SELECT pool_id FROM allowed WHERE pool_id IS NOT NULL) s (subject_id)
             WHERE {condition}
        )"""  # noqa: S608 - constants only


def payment_cte(number: int, *, condition: str) -> str:
    """Return the CTE `paid{number}`, which moves money from reserved to spent. `billed` and `released` must precede it."""
    return f"""
        paid{number} AS (
            INSERT INTO budgets AS b (user_id, subject_id, month, spent_usd)
            SELECT :user_id, :subject{number}, coalesce((SELECT max(month) FROM released), {MONTH}), total.usd
              FROM (SELECT coalesce(sum(cost_usd), 0) AS usd FROM billed) total
             WHERE (total.usd > 0 OR EXISTS (SELECT FROM released WHERE amount_usd > 0)) AND {condition}
            ON CONFLICT (user_id, subject_id, month) DO UPDATE
               SET spent_usd = b.spent_usd + EXCLUDED.spent_usd,
                   reserved_usd = b.reserved_usd - (SELECT coalesce(sum(amount_usd), 0) FROM released
                                                     WHERE released.subject_id = b.subject_id AND released.month = b.month)
            RETURNING b.subject_id
        )"""  # noqa: S608 - constants only


def pool_payment_cte(*, condition: str) -> str:
    """Return the CTE `paid_pool`, which charges the group for which the calls were reserved, even if the user has left it since."""
    return f"""
        paid_pool AS (
            UPDATE group_budgets b
               SET reserved_usd = b.reserved_usd - r.usd,
                   spent_usd = b.spent_usd + CASE WHEN r.is_last THEN (SELECT coalesce(sum(cost_usd), 0) FROM billed) ELSE 0 END
              FROM (SELECT subject_id, month, sum(amount_usd) AS usd, row_number() OVER (ORDER BY month DESC, subject_id) = 1 AS is_last
                      FROM released WHERE subject_id <> ALL (CAST(:subjects AS uuid[])) GROUP BY subject_id, month) r
             WHERE b.group_id = r.subject_id AND b.month = r.month AND {condition}
            RETURNING b.group_id
        )"""  # noqa: S608 - constants only


RELEASED_CTE = """
        released AS (
            DELETE FROM budget_reservations WHERE user_id = :user_id AND id = ANY(CAST(:reservations AS uuid[]))
            RETURNING subject_id, month, amount_usd
        )"""


def current_budget(connection: Connection, *, user_id: UUID, default_usd: Decimal) -> Budget:
    """Return the user's budget of the current month. `default_usd` applies unless an admin has set another budget."""
    return Budget(**connection.execute(_CURRENT_BUDGET, {"user_id": user_id, "default_usd": default_usd}).one()._mapping)


def key_budget(connection: Connection, api_key_id: UUID, *, user_id: UUID) -> tuple[Decimal, Decimal] | None:
    """Return the monthly budget of the user's API key and what is spent of it, None for a key without a budget."""
    row = connection.execute(_KEY_BUDGET, {"user_id": user_id, "api_key_id": api_key_id}).one_or_none()
    return (row.monthly_usd, row.spent_usd) if row else None


def resets_at(connection: Connection) -> datetime:
    """Return the start of the next month, when budgets are full again."""
    moment: datetime = connection.execute(text(f"SELECT {NEXT_MONTH}")).scalar_one()
    return moment


def sweep(connection: Connection) -> int:
    """Delete reservations left by functions that died and return their number. Requires the background role."""
    count: int = connection.execute(_SWEEP).scalar_one()
    return count


_CURRENT_BUDGET = text(
    f"""
    SELECT coalesce(u.monthly_budget_usd, g.member_budget_usd, :default_usd) AS monthly_usd, coalesce(b.spent_usd, 0) AS spent_usd,
           (SELECT coalesce(sum(r.amount_usd), 0) FROM budget_reservations r
             WHERE r.user_id = u.id AND r.subject_id = u.id AND r.month = {MONTH} AND r.expires_at > now()) AS reserved_usd,
           g.monthly_budget_usd - coalesce(p.spent_usd + p.reserved_usd, 0) AS pool_left_usd, {NEXT_MONTH} AS resets_at
      FROM users u LEFT JOIN budgets b ON b.user_id = u.id AND b.subject_id = u.id AND b.month = {MONTH}
      LEFT JOIN group_members m ON m.user_id = u.id AND m.pays
      LEFT JOIN groups g ON g.id = m.group_id
      LEFT JOIN group_budgets p ON p.group_id = m.group_id AND p.month = {MONTH}
     WHERE u.id = :user_id
    """  # noqa: S608 - constants only
)
_KEY_BUDGET = text(
    f"""
    SELECT k.monthly_budget_usd AS monthly_usd, coalesce(b.spent_usd, 0) AS spent_usd
      FROM api_keys k LEFT JOIN budgets b ON b.user_id = k.user_id AND b.subject_id = k.id AND b.month = {MONTH}
     WHERE k.user_id = :user_id AND k.id = :api_key_id AND k.monthly_budget_usd IS NOT NULL
    """  # noqa: S608 - constants only
)
# An hour later than necessary: before that, the user's next reservation frees the amount, and the call may still be settled.
_SWEEP = text(
    """
    WITH expired AS (
         DELETE FROM budget_reservations WHERE expires_at <= now() - interval '1 hour' RETURNING user_id, subject_id, month, amount_usd),
    freed AS (
         UPDATE budgets b SET reserved_usd = b.reserved_usd - expired_sums.usd
           FROM (SELECT user_id, subject_id, month, sum(amount_usd) AS usd FROM expired GROUP BY user_id, subject_id, month) expired_sums
          WHERE b.user_id = expired_sums.user_id AND b.subject_id = expired_sums.subject_id AND b.month = expired_sums.month
         RETURNING b.subject_id),
    freed_pools AS (
         UPDATE group_budgets p SET reserved_usd = p.reserved_usd - expired_sums.usd
           FROM (SELECT subject_id, month, sum(amount_usd) AS usd FROM expired GROUP BY subject_id, month) expired_sums
          WHERE p.group_id = expired_sums.subject_id AND p.month = expired_sums.month AND (SELECT count(*) >= 0 FROM freed))
    SELECT count(*) FROM expired
    """
)
