"""What a user can still reserve of a month's budget, and that others' rows with the same ids are left alone."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import text

from parley.db.metering import budgets, usage
from parley.db.metering.budgets import MONTH, Budget
from parley.db.metering.quotas import BillingSubject
from parley.ids import new_id
from parley.metering import limits
from tests.shared.db.groups.test_pools import DEFAULT
from tests.shared.db.groups.test_pools import group as group


@pytest.mark.parametrize(
    ("spent_usd", "reserved_usd", "pool_left_usd", "left_usd"),
    [(1, 0, None, 4), (1, 2, None, 2), (1, 2, 9, 2), (1, 2, 1, 1), (4, 2, None, 0), (1, 2, -1, 0), (5, 0, None, 0)],
)
def test_what_is_left_is_neither_spent_nor_reserved_and_fits_the_pool(spent_usd, reserved_usd, pool_left_usd, left_usd):
    pool = None if pool_left_usd is None else Decimal(pool_left_usd)

    assert Budget(Decimal(5), Decimal(spent_usd), Decimal(reserved_usd), pool, datetime.now(UTC)).left_usd == left_usd


@pytest.fixture
def reserve(superuser, alice, bob):
    """Open a transaction without row level security, and return a function that stores a reservation with the same id for alice and bob."""
    statement = (
        "INSERT INTO budget_reservations (user_id, subject_id, id, month, amount_usd, expires_at) "
        f"VALUES (:user, :subject, :id, {MONTH}, 1, now() - CAST(:age AS interval))"
    )
    with superuser.connect() as connection:

        def add(subject_id, *, ages=("0", "0")):
            id = new_id()
            for person, age in zip((alice, bob), ages, strict=True):
                connection.execute(text(statement), {"user": person.id, "subject": subject_id, "id": id, "age": age})
            return id

        yield connection, add
        connection.rollback()


def amounts(connection, id):
    rows = connection.execute(text("SELECT user_id, amount_usd FROM budget_reservations WHERE id = :id"), {"id": id})
    return {row.user_id: row.amount_usd for row in rows}


@pytest.mark.parametrize("is_of_pool", [False, True])
def test_a_reservation_of_another_user_with_the_same_id_is_neither_freed_nor_released(reserve, group, alice, bob, is_of_pool):
    connection, add = reserve
    id, subject = add(group if is_of_pool else alice.id), BillingSubject(alice.id)
    limits.reserve(connection, subject, DEFAULT, amount_usd=Decimal(1))
    freed = amounts(connection, id)
    usage.settle(connection, subject, [], reservations=[id], turn_id=None)

    assert (freed, amounts(connection, id)) == ({alice.id: 0, bob.id: 1}, {bob.id: 1})


def test_the_sweep_gives_an_amount_back_to_the_user_who_reserved_it(reserve, alice, bob):
    connection, add = reserve
    add(alice.id, ages=("2 hours", "0"))
    store = f"INSERT INTO budgets (user_id, subject_id, month, reserved_usd) VALUES (:user, :subject, {MONTH}, 3)"
    for person in (alice, bob):
        connection.execute(text(store), {"user": person.id, "subject": alice.id})
    budgets.sweep(connection)
    left = connection.execute(text("SELECT user_id, reserved_usd FROM budgets WHERE subject_id = :subject"), {"subject": alice.id})

    assert {row.user_id: row.reserved_usd for row in left} == {alice.id: 2, bob.id: 3}
