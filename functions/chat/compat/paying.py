"""Paying for calls that no turn stores."""

import time
from collections.abc import Sequence

from sqlalchemy import Engine

from parley import limits
from parley.db.scope import user_scope
from parley.db.usage import Purpose
from parley.deadline import GRACE_S, Deadline
from parley.errors import Unavailable
from parley.limits import Payer, Reservation
from parley.llm.calls import Call

# What was spent is worth waiting for a database that is just restarting.
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 2.0)


def pay(
    engine: Engine,
    payer: Payer,
    calls: Sequence[Call],
    *,
    reservations: Sequence[Reservation],
    deadline: Deadline,
    purpose: Purpose = "chat",
) -> None:
    """Store the calls, pay for them and free what was reserved. Raises Unavailable."""
    for pause_s in PAUSES_S:
        try:
            return _settle(engine, payer, calls, reservations, purpose)
        except Unavailable:
            if deadline.left_s + GRACE_S < pause_s + 1:
                raise
            time.sleep(pause_s)
    return _settle(engine, payer, calls, reservations, purpose)


def _settle(engine: Engine, payer: Payer, calls: Sequence[Call], reservations: Sequence[Reservation], purpose: Purpose) -> None:
    with user_scope(engine, payer.user_id) as connection:
        limits.settle(connection, payer, calls, reservations=reservations, purpose=purpose)
