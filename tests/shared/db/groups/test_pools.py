"""Budgets of groups: which calls a pool admits, what a member may spend of it, and who is charged when members come and go."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import delete, insert, text

from parley.db.engine import make_engine
from parley.db.groups import membership
from parley.db.metering import budgets, usage
from parley.db.metering.quotas import BillingSubject, DefaultLimits, ReservationDetail
from parley.db.metering.usage import Charge
from parley.db.tables import group_members, groups
from parley.db.transactions import user_scope
from parley.ids import new_id
from parley.metering import limits
from parley.metering.limits import BudgetExhausted
from tests.support.time_limits import wait_until

DEFAULT = DefaultLimits(rate_per_minute=1000, budget_usd=Decimal(5))
WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = 'parley' AND wait_event_type = 'Lock'"
POOL = text("SELECT spent_usd, reserved_usd FROM group_budgets WHERE group_id = :group")


@pytest.fixture
def group(engines, alice, bob):
    """A group of alice and bob with a pool of 3 USD."""
    group_id = new_id()
    with engines["owner"].begin() as connection:
        connection.execute(insert(groups).values(id=group_id, name="g", monthly_budget_usd=3))
        rows = [{"user_id": person.id, "group_id": group_id, "role": "owner", "pays": True} for person in (alice, bob)]
        connection.execute(insert(group_members), rows)
    return group_id


@pytest.fixture
def run_sql(engines, group):
    """Return a function that runs a statement about the group as the owner of the tables."""

    def run(sql, **values):
        with engines["owner"].begin() as connection:
            connection.execute(text(sql), values | {"group": group})

    return run


@pytest.fixture
def pool(engines, group):
    """Return a function that reads what the pool has spent and reserved."""

    def read():
        with engines["owner"].connect() as connection:
            row = connection.execute(POOL, {"group": group}).one_or_none()
        return row and (float(row.spent_usd), float(row.reserved_usd))

    return read


@pytest.fixture
def admit(engine):
    """Return a function that reserves an amount for a person and returns the reservation, or None if it is refused."""

    def admit_one(person, usd, *, key=None, **detail):
        try:
            with user_scope(engine, person.id) as connection:
                subject = BillingSubject(person.id, key)
                details = {"detail": ReservationDetail(**detail)} if detail else {}
                return limits.admit(connection, subject, DEFAULT, amount_usd=Decimal(usd), **details)
        except BudgetExhausted:
            return None

    return admit_one


@pytest.fixture
def pay(engine):
    """Return a function that settles a person's reservation at a cost."""

    def settle(person, reservation, usd):
        charge = Charge(reservation.id, "chat", "priced", "acme", "completed", 10, 2, 0, Decimal(usd))
        with user_scope(engine, person.id) as connection:
            usage.settle(connection, BillingSubject(person.id), [charge], reservations=[reservation.id], turn_id=None)

    return settle


def test_members_share_the_pool(admit, pool, alice, bob):
    assert [bool(admit(person, 1)) for person in (alice, bob, alice, bob, alice)] == [True, True, True, False, False]
    assert pool() == (0, 3)


@pytest.mark.usefixtures("group")
def test_one_call_may_reserve_all_of_a_new_months_pool_but_no_more(admit, alice):
    assert admit(alice, "3.01") is None
    assert admit(alice, 3)


@pytest.mark.usefixtures("group")
def test_what_the_pool_refuses_is_not_reserved_for_the_user_either(engine, admit, alice):
    assert admit(alice, 4) is None

    with user_scope(engine, alice.id) as connection:
        assert budgets.current_budget(connection, user_id=alice.id, default_usd=DEFAULT.budget_usd).reserved_usd == 0


def test_a_share_limits_each_member(run_sql, admit, alice, bob):
    run_sql("UPDATE groups SET member_budget_usd = 1 WHERE id = :group")

    assert [bool(admit(person, 1)) for person in (alice, alice, bob, bob)] == [True, False, True, False]


def test_a_budget_of_the_users_own_overrides_the_share(run_sql, admit, alice):
    run_sql("UPDATE groups SET member_budget_usd = 1 WHERE id = :group")
    run_sql("UPDATE users SET monthly_budget_usd = 2 WHERE id = :user", user=alice.id)

    assert [bool(admit(alice, 1)) for _ in range(3)] == [True, True, False]


def test_a_group_without_a_budget_is_charged_nothing(run_sql, admit, pay, pool, alice):
    run_sql("UPDATE group_members SET pays = false WHERE group_id = :group")
    pay(alice, admit(alice, 5), 4)

    assert pool() is None


def test_settling_moves_the_cost_from_reserved_to_spent(admit, pay, pool, alice):
    pay(alice, admit(alice, 2), "0.25")

    assert pool() == (0.25, 0)


def test_a_call_that_outlasts_its_users_membership_is_charged_to_the_pool(engine, admit, pay, pool, group, alice):
    reservation = admit(alice, 2)
    with user_scope(engine, alice.id) as connection:
        membership.remove_member(connection, group, alice.id, user_id=alice.id)
    pay(alice, reservation, "0.25")

    assert pool() == (0.25, 0)


def test_a_call_that_outlasts_its_group_is_charged_to_its_user(engine, engines, admit, pay, group, alice):
    reservation = admit(alice, 2)
    with engines["owner"].begin() as connection:
        connection.execute(delete(groups).where(groups.c.id == group))
    pay(alice, reservation, "0.25")

    with user_scope(engine, alice.id) as connection:
        budget = budgets.current_budget(connection, user_id=alice.id, default_usd=DEFAULT.budget_usd)
    assert (budget.spent_usd, budget.reserved_usd, budget.pool_left_usd) == (Decimal("0.25"), 0, None)


def test_a_lost_call_is_charged_to_the_pool_once(engine, admit, pool, alice):
    turn_id = new_id()
    admit(alice, 2, turn_id=turn_id, model="m", provider="p", input_tokens=1_000_000, input_usd_per_mtok=Decimal(1))
    for _ in range(2):
        with user_scope(engine, alice.id) as connection:
            usage.settle_lost_calls(connection, turn_id, user_id=alice.id, output_tokens=0)

    assert pool() == (1, 0)


def test_the_pool_gets_back_what_a_dead_function_reserved(run_sql, admit, pool, alice):
    admit(alice, 3)
    run_sql("UPDATE budget_reservations SET expires_at = now() WHERE user_id = :user", user=alice.id)

    assert admit(alice, 2)
    assert pool() == (0, 2)


def test_a_members_share_gets_back_what_a_dead_function_reserved(run_sql, admit, alice):
    run_sql("UPDATE groups SET member_budget_usd = 2 WHERE id = :group")
    admit(alice, 2)
    run_sql("UPDATE budget_reservations SET expires_at = now() WHERE user_id = :user", user=alice.id)

    assert [bool(admit(alice, 1)) for _ in range(3)] == [True, True, False]


def test_two_calls_at_once_give_the_pool_back_only_once_what_a_dead_function_reserved(
    engine, database, postgres, run_sql, admit, pool, alice
):
    admit(alice, 2)
    run_sql("UPDATE budget_reservations SET expires_at = now() WHERE user_id = :user", user=alice.id)
    other_process = make_engine(database)
    with ThreadPoolExecutor(1) as thread, user_scope(other_process, alice.id) as connection:
        limits.reserve(connection, BillingSubject(alice.id), DEFAULT, amount_usd=Decimal(1))
        other = thread.submit(admit, alice, "1.5")
        wait_until(lambda: other.done() or postgres.execute(WAITING))
    other_process.dispose()

    assert other.result()
    assert pool() == (0, 2.5)
    assert postgres.execute(f"SELECT reserved_usd FROM budgets WHERE user_id = '{alice.id}'") == [(Decimal("2.5"),)]


def test_the_pool_gets_a_reservation_back_at_the_moment_of_its_end(engine, admit, alice):
    admit(alice, 3)
    with user_scope(engine, alice.id) as connection:
        connection.execute(text("UPDATE budget_reservations SET expires_at = now() WHERE user_id = :user"), {"user": alice.id})

        assert limits.admit(connection, BillingSubject(alice.id), DEFAULT, amount_usd=Decimal(3))


def test_the_sweep_frees_what_a_former_member_reserved(engines, run_sql, admit, pool, alice):
    admit(alice, 3)
    run_sql("UPDATE budget_reservations SET expires_at = now() - interval '61 minutes' WHERE user_id = :user", user=alice.id)
    run_sql("DELETE FROM group_members WHERE user_id = :user", user=alice.id)
    with engines["background"].begin() as connection:
        budgets.sweep(connection)

    assert pool() == (0, 0)


@pytest.mark.usefixtures("group")
def test_a_members_free_calls_count_once_and_take_nothing_from_the_pool(engine, pool, alice):
    four = DefaultLimits(rate_per_minute=4, budget_usd=Decimal(5))
    for _ in range(4):
        with user_scope(engine, alice.id) as connection:
            assert limits.admit(connection, BillingSubject(alice.id), four, amount_usd=Decimal(0))

    assert pool() is None


@pytest.mark.usefixtures("group")
def test_usage_shows_what_the_pool_has_left(conversation, admit, pay, alice, bob):
    pay(bob, admit(bob, 2), "1.5")

    budget = conversation.get("/usage", as_=alice).json["budget"]
    assert (budget["pool_left_usd"], budget["left_usd"], budget["spent_usd"]) == (1.5, 1.5, 0)
