"""The gate before a model's call: requests a minute and the month's budget, of the user and of the API key.

One conditional statement takes from all of them or shows which refused; the caller's transaction must then be rolled
back. The rows are locked in one order everywhere: rates, reservations, budgets, each the user's before the key's.
"""

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Self
from uuid import UUID

from sqlalchemy import Connection, text

from parley.db import budgets, rate_limits
from parley.settings import LimitSettings

# What holds for the user and for the key; a key without figures of its own has the user's rate and no budget.
_ALLOWED = """
        allowed AS MATERIALIZED (
            SELECT CAST(:rate_per_minute AS numeric) AS rate0, coalesce(u.monthly_budget_usd, :budget_usd) AS budget0,
                   CAST(coalesce(k.rate_per_minute, :rate_per_minute) AS numeric) AS rate1,
                   coalesce(k.monthly_budget_usd, 'Infinity') AS budget1
              FROM users u LEFT JOIN api_keys k ON k.user_id = u.id AND k.id = :api_key_id
             WHERE u.id = :user_id
        )"""


@dataclass(frozen=True, slots=True)
class Payer:
    """Who is counted and charged: a user, and the API key that they called with."""

    user_id: UUID
    api_key_id: UUID | None = None

    @property
    def subjects(self) -> list[UUID]:
        """Return the ids that have rates and budgets."""
        return [self.user_id, *([self.api_key_id] if self.api_key_id else [])]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the deployment allows who has no figures of their own."""

    rate_per_minute: int
    budget_usd: Decimal

    @classmethod
    def of(cls, settings: LimitSettings) -> Self:
        """Make it from a function's settings."""
        return cls(settings.rate_per_minute, settings.budget_usd)


@dataclass(frozen=True, slots=True)
class Claim:
    """What is reserved for: a turn's call of a model, its input as guessed, and prices in USD a million tokens."""

    turn_id: UUID | None = None
    model: str | None = None
    provider: str | None = None
    input_tokens: int = 0
    input_usd_per_mtok: Decimal = Decimal(0)
    output_usd_per_mtok: Decimal = Decimal(0)


NOTHING = Claim()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether there was room. `wait_s` is None unless the rate refused."""

    has_budget: bool
    wait_s: float | None = None


def admit(
    connection: Connection,
    payer: Payer,
    allowance: Allowance,
    *,
    id: UUID,
    amount_usd: Decimal,
    counts_request: bool = True,
    claim: Claim = NOTHING,
) -> Verdict:
    """Count a request and reserve money under the id, both or neither, and note what for.

    No money is asked for where `amount_usd` is zero, and no request is counted for a turn's further calls.
    """
    asks_money, is_kept = amount_usd > 0, amount_usd > 0 or claim.turn_id is not None
    if not counts_request and not is_kept:
        return Verdict(True)
    values = _values(payer, allowance) | asdict(claim) | {"id": id, "amount_usd": amount_usd, "subjects": payer.subjects}
    statement = _statement(len(payer.subjects), counts_request=counts_request, asks_money=asks_money, is_kept=is_kept)
    found = connection.execute(text(statement), values).one()
    if found.is_in_rate:
        return Verdict(found.is_in_budget)
    rates = dict.fromkeys(payer.subjects, allowance.rate_per_minute)
    if payer.api_key_id:
        rates[payer.api_key_id] = int(found.key_rate)
    return Verdict(True, rate_limits.wait_s(connection, rates, user_id=payer.user_id))


def _values(payer: Payer, allowance: Allowance) -> dict[str, object]:
    limits = {"rate_per_minute": allowance.rate_per_minute, "budget_usd": allowance.budget_usd}
    subjects = {f"subject{number}": subject for number, subject in enumerate(payer.subjects)}
    return {"user_id": payer.user_id, "api_key_id": payer.api_key_id} | limits | subjects


def _statement(count: int, *, counts_request: bool, asks_money: bool, is_kept: bool) -> str:
    """Chain the steps: each is only taken if the one before had room."""
    steps, before = [_ALLOWED], "true"
    for number in range(count if counts_request else 0):
        steps.append(rate_limits.step(number, condition=f"WHERE {before}"))
        before = f"EXISTS (SELECT FROM taken{number})"
    in_rate = before
    for number in range(count if asks_money else 0):
        steps.append(budgets.step(number, condition=before))
        before = f"EXISTS (SELECT FROM held{number})"
    if is_kept:
        steps.append(budgets.keeping(condition=before))
    return f"WITH {', '.join(steps)} SELECT {in_rate} AS is_in_rate, {before} AS is_in_budget, rate1 AS key_rate FROM allowed"  # noqa: S608
