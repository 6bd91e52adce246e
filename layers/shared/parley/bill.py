"""What a user pays for work that goes on behind their back: reserved before a call, settled after it."""

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Engine

from parley import limits
from parley.db.scope import user_scope
from parley.db.usage import Purpose
from parley.limits import Allowance, Payer, Reservation
from parley.llm.calls import Call


class Bill:
    """The calls of one piece of work. It takes of the month's budget, and not of the requests a minute."""

    def __init__(self, engine: Engine, allowance: Allowance, user_id: UUID) -> None:
        self._engine, self._allowance, self._payer = engine, allowance, Payer(user_id)
        self._reservations: list[Reservation] = []

    def reserve(self, amount_usd: Decimal) -> None:
        """Set the price of a call aside. Raises BudgetExhausted and Unavailable."""
        with user_scope(self._engine, self._payer.user_id) as connection:
            self._reservations.append(limits.reserve(connection, self._payer, self._allowance, amount_usd=amount_usd))

    def settle(self, calls: Sequence[Call], *, purpose: Purpose) -> None:
        """Store the calls, pay for them and free what was set aside. Raises Unavailable."""
        with user_scope(self._engine, self._payer.user_id) as connection:
            limits.settle(connection, self._payer, calls, reservations=self._reservations, purpose=purpose)
