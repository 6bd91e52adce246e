"""Rates and budgets as statements: what is let in, what is refused, and what is left behind."""

from decimal import Decimal

import pytest
from sqlalchemy import insert, text

from parley.clock import utc_now
from parley.db.metering import budgets, usage
from parley.db.metering.quotas import BillingSubject, DefaultLimits
from parley.db.metering.usage import Charge
from parley.db.tables import api_keys
from parley.db.transactions import user_scope
from parley.ids import new_id
from parley.metering import limits
from parley.metering.limits import BudgetExhausted, RateLimited

RICH = DefaultLimits(rate_per_minute=1000, budget_usd=Decimal(5))


@pytest.fixture
def services(engine, alice):
    """Run a step in a transaction of its own, as alice."""

    def run(step, *given, **options):
        with user_scope(engine, alice.id) as connection:
            return step(connection, *given, **options)

    return run


@pytest.fixture
def billing_subject(alice):
    return BillingSubject(alice.id)


def standing(services, billing_subject):
    found = services(budgets.current_budget, user_id=billing_subject.user_id, default_usd=RICH.budget_usd)
    return float(found.spent_usd), float(found.reserved_usd)


def pay(services, billing_subject, usd, *reservations, id=None):
    charge = Charge(id or new_id(), "chat", "priced", "acme", "completed", 10, 2, 0, Decimal(usd))
    services(usage.settle, billing_subject, [charge], reservations=[one.id for one in reservations], turn_id=None)


def admitted(services, billing_subject, default_limits, times, usd=0):
    count = 0
    for _ in range(times):
        try:
            services(limits.admit, billing_subject, default_limits, amount_usd=Decimal(usd))
            count += 1
        except (RateLimited, BudgetExhausted):
            pass
    return count


def key_of(engines, billing_subject, **fields):
    columns = {"rate_per_minute": None, "monthly_budget_usd": None} | fields
    with engines["owner"].begin() as connection:
        columns |= {"user_id": billing_subject.user_id, "id": (id := new_id()), "name": "k", "scopes": ["chat"], "expires_at": utc_now()}
        connection.execute(insert(api_keys).values(columns))
    return BillingSubject(billing_subject.user_id, id)


def test_a_minutes_allowance_may_come_at_once_and_no_more(services, billing_subject):
    assert admitted(services, billing_subject, DefaultLimits(4, Decimal(5)), 10) == 4


def test_who_waits_as_long_as_they_were_told_is_let_in(services, billing_subject, engines):
    default_limits = DefaultLimits(4, Decimal(5))
    admitted(services, billing_subject, default_limits, 4)
    with pytest.raises(RateLimited) as caught:
        services(limits.admit, billing_subject, default_limits, amount_usd=Decimal(0))

    assert 14 < caught.value.retry_after_s <= 15
    for waited_s, count in ((13.5, 0), (1.5, 1)):
        move(engines, "rate_limits", "free_at", billing_subject, waited_s)
        assert admitted(services, billing_subject, default_limits, 3) == count


def move(engines, table, column, billing_subject, seconds):
    """Let time pass for a user's rows."""
    with engines["owner"].begin() as connection:
        statement = f"UPDATE {table} SET {column} = {column} - make_interval(secs => :s) WHERE user_id = :u"
        connection.execute(text(statement), {"s": seconds, "u": billing_subject.user_id})


def test_users_do_not_share_a_rate(services, engine, billing_subject, bob):
    admitted(services, billing_subject, DefaultLimits(1, Decimal(5)), 1)
    with user_scope(engine, bob.id) as connection:
        assert limits.admit(connection, BillingSubject(bob.id), DefaultLimits(1, Decimal(5)), amount_usd=Decimal(0))


def test_a_keys_requests_count_for_its_user_too(services, billing_subject, engines):
    first, second = key_of(engines, billing_subject), key_of(engines, billing_subject)
    default_limits = DefaultLimits(4, Decimal(5))

    assert admitted(services, first, default_limits, 3) + admitted(services, second, default_limits, 3) == 4


def test_a_key_with_a_rate_of_its_own_leaves_its_user_the_rest(services, billing_subject, engines):
    key = key_of(engines, billing_subject, rate_per_minute=2)

    assert admitted(services, key, DefaultLimits(5, Decimal(5)), 5) == 2
    assert admitted(services, billing_subject, DefaultLimits(5, Decimal(5)), 5) == 3


def test_money_is_reserved_until_the_budget_is_full(services, billing_subject):
    assert admitted(services, billing_subject, RICH, 12, usd=1) == 5
    assert standing(services, billing_subject) == (0, 5)


def test_a_refused_request_takes_neither_rate_nor_money(services, billing_subject):
    default_limits = DefaultLimits(2, Decimal(5))

    assert admitted(services, billing_subject, default_limits, 5, usd=6) == 0
    assert admitted(services, billing_subject, default_limits, 5, usd=1) == 2
    assert standing(services, billing_subject) == (0, 2)


def test_the_refusal_says_when_the_month_ends(services, billing_subject):
    with pytest.raises(BudgetExhausted) as caught:
        services(limits.admit, billing_subject, RICH, amount_usd=Decimal(6))

    assert (caught.value.resets_at.day, caught.value.resets_at.hour) == (1, 0)
    assert "-01 (UTC)" in caught.value.public_message


def test_an_exhausted_budget_still_pays_for_what_costs_nothing(services, billing_subject):
    admitted(services, billing_subject, RICH, 5, usd=1)

    assert admitted(services, billing_subject, RICH, 1, usd=0) == 1


def test_settling_moves_what_was_used_from_reserved_to_spent(services, billing_subject):
    reservation = services(limits.admit, billing_subject, RICH, amount_usd=Decimal(3))
    pay(services, billing_subject, "0.25", reservation)

    assert standing(services, billing_subject) == (0.25, 0)


def test_settling_twice_pays_once(services, billing_subject):
    reservation, id = services(limits.admit, billing_subject, RICH, amount_usd=Decimal(3)), new_id()
    for _ in range(2):
        pay(services, billing_subject, "0.25", reservation, id=id)

    assert standing(services, billing_subject) == (0.25, 0)


def test_a_budget_counts_for_key_and_user(services, billing_subject, engines):
    key = key_of(engines, billing_subject, monthly_budget_usd=2)

    assert admitted(services, key, RICH, 5, usd=1) == 2
    assert admitted(services, billing_subject, RICH, 5, usd=1) == 3


def test_what_a_key_used_counts_against_both_budgets(services, billing_subject, engines):
    key = key_of(engines, billing_subject, monthly_budget_usd=2)
    pay(services, key, "1.5", services(limits.admit, key, RICH, amount_usd=Decimal(2)))

    assert admitted(services, key, RICH, 1, usd=1) == 0
    assert standing(services, billing_subject) == (1.5, 0)


def test_the_reservation_of_a_function_that_died_is_freed_in_15_minutes(services, billing_subject, engines):
    admitted(services, billing_subject, RICH, 5, usd=1)
    move(engines, "budget_reservations", "expires_at", billing_subject, 899 - 30)
    assert admitted(services, billing_subject, RICH, 1, usd=1) == 0
    move(engines, "budget_reservations", "expires_at", billing_subject, 31)

    assert admitted(services, billing_subject, RICH, 7, usd=1) == 5
    assert standing(services, billing_subject) == (0, 5)


def test_a_call_that_settles_after_its_reservation_was_freed_is_still_paid(services, billing_subject, engines):
    reservation = services(limits.admit, billing_subject, RICH, amount_usd=Decimal(3))
    move(engines, "budget_reservations", "expires_at", billing_subject, 901)
    admitted(services, billing_subject, RICH, 1, usd=1)
    pay(services, billing_subject, "0.5", reservation)

    assert standing(services, billing_subject) == (0.5, 1)


def test_a_new_month_begins_with_the_whole_budget(services, billing_subject, engines):
    reservation = services(limits.admit, billing_subject, RICH, amount_usd=Decimal(5))
    with engines["owner"].begin() as connection:
        for table in ("budgets", "budget_reservations"):
            connection.execute(
                text(f"UPDATE {table} SET month = month - interval '1 month' WHERE user_id = :u"), {"u": billing_subject.user_id}
            )

    assert admitted(services, billing_subject, RICH, 7, usd=1) == 5
    pay(services, billing_subject, "4", reservation)
    assert standing(services, billing_subject) == (0, 5)


def test_the_budget_that_an_admin_set_goes_before_the_default(services, billing_subject, engines):
    with engines["owner"].begin() as connection:
        connection.execute(text("UPDATE users SET monthly_budget_usd = 2 WHERE id = :u"), {"u": billing_subject.user_id})

    assert admitted(services, billing_subject, RICH, 5, usd=1) == 2


def test_the_sweep_frees_what_nobody_came_back_for(services, billing_subject, engines):
    admitted(services, billing_subject, RICH, 5, usd=1)
    move(engines, "budget_reservations", "expires_at", billing_subject, 3600 + 901)
    with engines["background"].begin() as connection:
        assert budgets.sweep(connection) >= 5
    with engines["owner"].connect() as connection:
        assert connection.scalar(text("SELECT reserved_usd FROM budgets WHERE user_id = :u"), {"u": billing_subject.user_id}) == 0
