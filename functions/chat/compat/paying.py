"""Paying for calls that no turn stores."""

import time
from collections.abc import Sequence

from sqlalchemy import Engine

from parley.db.metering.usage import CallPurpose
from parley.db.transactions import user_scope
from parley.deadline import GRACE_S, Deadline
from parley.errors import Unavailable
from parley.llm.model import ModelCall
from parley.metering import limits
from parley.metering.limits import BillingSubject, Reservation

# What was spent is worth waiting for a database that is just restarting.
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 2.0)


def pay(
    engine: Engine,
    billing_subject: BillingSubject,
    calls: Sequence[ModelCall],
    *,
    reservations: Sequence[Reservation],
    deadline: Deadline,
    purpose: CallPurpose = "chat",
) -> None:
    """Store the calls, pay for them and free what was reserved. Raises Unavailable."""
    for pause_s in PAUSES_S:
        try:
            return _settle(engine, billing_subject, calls, reservations, purpose)
        except Unavailable:
            if deadline.left_s + GRACE_S < pause_s + 1:
                raise
            time.sleep(pause_s)
    return _settle(engine, billing_subject, calls, reservations, purpose)


def _settle(
    engine: Engine, billing_subject: BillingSubject, calls: Sequence[ModelCall], reservations: Sequence[Reservation], purpose: CallPurpose
) -> None:
    with user_scope(engine, billing_subject.user_id) as connection:
        limits.settle(connection, billing_subject, calls, reservations=reservations, purpose=purpose)
