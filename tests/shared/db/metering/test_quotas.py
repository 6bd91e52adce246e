"""Rate limits and budgets: which calls are admitted or refused, and what they leave reserved and spent."""

from decimal import Decimal

import pytest
from sqlalchemy import insert, text

from parley.clock import utc_now
from parley.db.metering import budgets, quotas, usage
from parley.db.metering.quotas import BillingSubject, DefaultLimits, QuotaResult, ReservationDetail
from parley.db.metering.usage import Charge
from parley.db.tables import api_keys
from parley.db.transactions import user_scope
from parley.ids import new_id
from parley.metering import limits
from parley.metering.limits import BudgetExhausted, RateLimited

RICH = DefaultLimits(rate_per_minute=1000, budget_usd=Decimal(5))


@pytest.fixture
def billing_subject(alice):
    return BillingSubject(alice.id)


def spent_and_reserved(run, billing_subject):
    budget = run(budgets.current_budget, user_id=billing_subject.user_id, default_usd=RICH.budget_usd)
    return float(budget.spent_usd), float(budget.reserved_usd)


def pay(run, billing_subject, usd, *reservations, id=None):
    charge = Charge(id or new_id(), "chat", "priced", "acme", "completed", 10, 2, 0, Decimal(usd))
    run(usage.settle, billing_subject, [charge], reservations=[reservation.id for reservation in reservations], turn_id=None)


def admitted(run, billing_subject, default_limits, times, usd=0):
    count = 0
    for _ in range(times):
        try:
            run(limits.admit, billing_subject, default_limits, amount_usd=Decimal(usd))
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


def test_a_burst_of_one_minutes_requests_is_admitted_but_no_more(run, billing_subject):
    assert admitted(run, billing_subject, DefaultLimits(4, Decimal(5)), 10) == 4


def test_a_request_after_retry_after_is_admitted(run, billing_subject, engines):
    default_limits = DefaultLimits(4, Decimal(5))
    admitted(run, billing_subject, default_limits, 4)
    with pytest.raises(RateLimited) as caught:
        run(limits.admit, billing_subject, default_limits, amount_usd=Decimal(0))

    assert 14 < caught.value.retry_after_s <= 15
    for waited_s, count in ((13.5, 0), (1.5, 1)):
        move(engines, "rate_limits", "free_at", billing_subject, waited_s)
        assert admitted(run, billing_subject, default_limits, 3) == count


def move(engines, table, column, billing_subject, seconds):
    """Simulate that time has passed, by moving a user's timestamps back."""
    with engines["owner"].begin() as connection:
        statement = f"UPDATE {table} SET {column} = {column} - make_interval(secs => :s) WHERE user_id = :u"
        connection.execute(text(statement), {"s": seconds, "u": billing_subject.user_id})


@pytest.mark.parametrize(("set_back_s", "count"), [(30, 0), (3600, 4)])
def test_a_clock_that_is_set_back_refuses_users_for_two_minutes_at_most(run, billing_subject, engines, set_back_s, count):
    default_limits = DefaultLimits(4, Decimal(5))
    admitted(run, billing_subject, default_limits, 4)
    move(engines, "rate_limits", "free_at", billing_subject, -set_back_s)

    assert admitted(run, billing_subject, default_limits, 10) == count


def test_users_do_not_share_a_rate(run, engine, billing_subject, bob):
    admitted(run, billing_subject, DefaultLimits(1, Decimal(5)), 1)
    with user_scope(engine, bob.id) as connection:
        assert limits.admit(connection, BillingSubject(bob.id), DefaultLimits(1, Decimal(5)), amount_usd=Decimal(0))


def test_a_keys_requests_count_for_its_user_too(run, billing_subject, engines):
    first, second = key_of(engines, billing_subject), key_of(engines, billing_subject)
    default_limits = DefaultLimits(4, Decimal(5))

    assert admitted(run, first, default_limits, 3) + admitted(run, second, default_limits, 3) == 4


def test_a_key_with_its_own_rate_leaves_the_rest_to_its_user(run, billing_subject, engines):
    key = key_of(engines, billing_subject, rate_per_minute=2)

    assert admitted(run, key, DefaultLimits(5, Decimal(5)), 5) == 2
    assert admitted(run, billing_subject, DefaultLimits(5, Decimal(5)), 5) == 3


def test_calls_are_admitted_until_the_budget_is_reserved(run, billing_subject):
    assert admitted(run, billing_subject, RICH, 12, usd=1) == 5
    assert spent_and_reserved(run, billing_subject) == (0, 5)


@pytest.mark.parametrize(("turn_id", "stored"), [(new_id(), 1), (None, 0)])
def test_a_call_without_a_price_is_reserved_for_its_turn_alone(run, billing_subject, turn_id, stored):
    detail = ReservationDetail(turn_id, "free", "acme")
    run(quotas.take_quota, billing_subject, RICH, id=new_id(), amount_usd=Decimal(0), detail=detail)
    count = text("SELECT count(*) FROM budget_reservations WHERE user_id = :id")

    assert run(lambda connection: connection.scalar(count, {"id": billing_subject.user_id})) == stored


def test_a_further_call_without_a_price_and_a_turn_is_admitted(run, billing_subject):
    admitted = run(quotas.take_quota, billing_subject, RICH, id=new_id(), amount_usd=Decimal(0), counts_request=False)

    assert admitted == QuotaResult(has_budget=True, wait_s=None, is_low=False)


def test_one_call_may_reserve_all_of_a_new_months_budget_but_no_more(run, billing_subject):
    assert admitted(run, billing_subject, RICH, 1, usd="5.01") == 0
    assert admitted(run, billing_subject, RICH, 1, usd=5) == 1


def test_a_refused_request_uses_neither_rate_nor_budget(run, billing_subject):
    default_limits = DefaultLimits(2, Decimal(5))

    assert admitted(run, billing_subject, default_limits, 5, usd=6) == 0
    assert admitted(run, billing_subject, default_limits, 5, usd=1) == 2
    assert spent_and_reserved(run, billing_subject) == (0, 2)


def test_an_exhausted_budget_names_the_end_of_the_month(run, billing_subject):
    with pytest.raises(BudgetExhausted) as caught:
        run(limits.admit, billing_subject, RICH, amount_usd=Decimal(6))

    assert (caught.value.resets_at.day, caught.value.resets_at.hour) == (1, 0)
    assert "-01 (UTC)" in caught.value.public_message


def test_an_exhausted_budget_still_admits_free_calls(run, billing_subject):
    admitted(run, billing_subject, RICH, 5, usd=1)

    assert admitted(run, billing_subject, RICH, 1, usd=0) == 1


def test_a_user_who_has_spent_more_than_the_budget_may_still_make_free_calls(run, billing_subject):
    pay(run, billing_subject, "5.5", run(limits.admit, billing_subject, RICH, amount_usd=Decimal(5)))

    assert admitted(run, billing_subject, RICH, 1, usd="0.01") == 0
    assert admitted(run, billing_subject, RICH, 1, usd=0) == 1


def test_further_calls_of_a_turn_take_nothing_from_the_rate(run, billing_subject):
    once = DefaultLimits(1, Decimal(5))
    assert admitted(run, billing_subject, once, 1, usd=1) == 1
    for _ in range(3):
        run(limits.reserve, billing_subject, once, amount_usd=Decimal(1))

    assert admitted(run, billing_subject, once, 1) == 0
    assert spent_and_reserved(run, billing_subject) == (0, 4)


def test_requests_of_the_same_moment_are_a_whole_burst_and_no_more(run, billing_subject):
    default_limits = DefaultLimits(4, Decimal(5))

    def admit_all(connection):
        for _ in range(4):
            limits.admit(connection, billing_subject, default_limits, amount_usd=Decimal(0))
        with pytest.raises(RateLimited):
            limits.admit(connection, billing_subject, default_limits, amount_usd=Decimal(0))

    run(admit_all)


def test_settling_moves_the_cost_from_reserved_to_spent(run, billing_subject):
    reservation = run(limits.admit, billing_subject, RICH, amount_usd=Decimal(3))
    pay(run, billing_subject, "0.25", reservation)

    assert spent_and_reserved(run, billing_subject) == (0.25, 0)


def test_settling_twice_charges_once(run, billing_subject):
    reservation, id = run(limits.admit, billing_subject, RICH, amount_usd=Decimal(3)), new_id()
    for _ in range(2):
        pay(run, billing_subject, "0.25", reservation, id=id)

    assert spent_and_reserved(run, billing_subject) == (0.25, 0)


def test_a_budget_counts_for_key_and_user(run, billing_subject, engines):
    key = key_of(engines, billing_subject, monthly_budget_usd=2)

    assert admitted(run, key, RICH, 5, usd=1) == 2
    assert admitted(run, billing_subject, RICH, 5, usd=1) == 3


def test_a_keys_cost_counts_against_both_budgets(run, billing_subject, engines):
    key = key_of(engines, billing_subject, monthly_budget_usd=2)
    pay(run, key, "1.5", run(limits.admit, key, RICH, amount_usd=Decimal(2)))

    assert admitted(run, key, RICH, 1, usd=1) == 0
    assert spent_and_reserved(run, billing_subject) == (1.5, 0)


def test_a_settled_call_gives_the_rest_of_its_reservation_back_to_its_key(run, billing_subject, engines):
    key = key_of(engines, billing_subject, monthly_budget_usd=2)
    pay(run, key, "0.5", run(limits.admit, key, RICH, amount_usd=Decimal(2)))

    assert admitted(run, key, RICH, 5, usd="0.5") == 3


def test_the_reservation_of_a_dead_function_is_freed_after_15_minutes(run, billing_subject, engines):
    admitted(run, billing_subject, RICH, 5, usd=1)
    move(engines, "budget_reservations", "expires_at", billing_subject, 899 - 30)
    assert admitted(run, billing_subject, RICH, 1, usd=1) == 0
    move(engines, "budget_reservations", "expires_at", billing_subject, 31)

    assert admitted(run, billing_subject, RICH, 7, usd=1) == 5
    assert spent_and_reserved(run, billing_subject) == (0, 5)


def test_a_user_sees_no_reservation_of_a_dead_function_after_15_minutes(run, billing_subject, engines):
    admitted(run, billing_subject, RICH, 2, usd=1)
    move(engines, "budget_reservations", "expires_at", billing_subject, 901)

    assert spent_and_reserved(run, billing_subject) == (0, 0)


def test_a_reservation_is_free_at_the_moment_of_its_end(run, billing_subject):
    def end_all_and_admit(connection):
        ended = text("UPDATE budget_reservations SET expires_at = now() WHERE user_id = :u")
        connection.execute(ended, {"u": billing_subject.user_id})
        return limits.admit(connection, billing_subject, RICH, amount_usd=Decimal(5))

    admitted(run, billing_subject, RICH, 5, usd=1)

    assert run(end_all_and_admit)


def test_a_call_settled_after_its_reservation_was_freed_is_still_charged(run, billing_subject, engines):
    reservation = run(limits.admit, billing_subject, RICH, amount_usd=Decimal(3))
    move(engines, "budget_reservations", "expires_at", billing_subject, 901)
    admitted(run, billing_subject, RICH, 1, usd=1)
    pay(run, billing_subject, "0.5", reservation)

    assert spent_and_reserved(run, billing_subject) == (0.5, 1)


def test_a_new_month_starts_with_the_full_budget(run, billing_subject, engines):
    reservation = run(limits.admit, billing_subject, RICH, amount_usd=Decimal(5))
    with engines["owner"].begin() as connection:
        for table in ("budgets", "budget_reservations"):
            connection.execute(
                text(f"UPDATE {table} SET month = month - interval '1 month' WHERE user_id = :u"), {"u": billing_subject.user_id}
            )

    assert admitted(run, billing_subject, RICH, 7, usd=1) == 5
    pay(run, billing_subject, "4", reservation)
    assert spent_and_reserved(run, billing_subject) == (0, 5)


def test_an_admins_budget_overrides_the_default(run, billing_subject, engines):
    with engines["owner"].begin() as connection:
        connection.execute(text("UPDATE users SET monthly_budget_usd = 2 WHERE id = :u"), {"u": billing_subject.user_id})

    assert admitted(run, billing_subject, RICH, 5, usd=1) == 2


def test_the_sweep_frees_abandoned_reservations_and_no_others(run, billing_subject, engines):
    admitted(run, billing_subject, RICH, 4, usd=1)
    move(engines, "budget_reservations", "expires_at", billing_subject, 3600 + 901)
    # Stored directly: reserving would free those that have ended.
    with engines["owner"].begin() as connection:
        copy = "SELECT user_id, subject_id, gen_random_uuid(), month, amount_usd, now() FROM budget_reservations WHERE user_id = :u LIMIT 1"
        added = f"INSERT INTO budget_reservations (user_id, subject_id, id, month, amount_usd, expires_at) {copy}"
        connection.execute(text(added), {"u": billing_subject.user_id})
        connection.execute(text("UPDATE budgets SET reserved_usd = 5 WHERE user_id = :u"), {"u": billing_subject.user_id})
    with engines["background"].begin() as connection:
        assert budgets.sweep(connection) >= 4
    with engines["owner"].connect() as connection:
        assert connection.scalar(text("SELECT reserved_usd FROM budgets WHERE user_id = :u"), {"u": billing_subject.user_id}) == 1


def test_a_charge_counts_as_measured_unless_it_says_otherwise(run, billing_subject):
    pay(run, billing_subject, "0.25")
    estimates = text("SELECT is_estimate FROM usage WHERE user_id = :u")

    assert run(lambda connection: connection.scalars(estimates, {"u": billing_subject.user_id}).all()) == [False]
