"""Usage by day and model: which calls a period covers, and how its pages follow each other."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from parley.db.metering import usage
from parley.db.metering.quotas import BillingSubject, DefaultLimits, ReservationDetail
from parley.db.metering.usage import Charge, DailyUsage, TurnCost, UsageCursor
from parley.db.transactions import user_scope
from parley.ids import new_id
from parley.metering import limits

FIRST, LAST = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC)


@pytest.fixture
def call(run, alice, engines):
    """Return a function that stores a call of a model at a time."""

    def store(at, model="m", *, tokens=1):
        charge = Charge(new_id(), "chat", model, "acme", "completed", tokens, 2 * tokens, 0, Decimal(tokens) / 100)
        run(usage.settle, BillingSubject(alice.id), [charge], reservations=[], turn_id=None)
        with engines["owner"].begin() as connection:
            connection.execute(text("UPDATE usage SET at = :at WHERE id = :id"), {"at": at, "id": charge.id})

    return store


@pytest.fixture
def days(run, alice):
    """Return a function that reads the days and models of a period."""

    def read(start=FIRST, end=LAST, *, limit=10, after=None):
        found = run(usage.daily_usage, user_id=alice.id, start=start, end=end, limit=limit, after=after)
        return [(row.day.day, row.model) for row in found]

    return read


def test_a_period_has_its_first_moment_but_nothing_earlier_and_not_its_end(call, days):
    for moment in (FIRST - timedelta(seconds=1), FIRST, LAST):
        call(moment)

    assert days() == [(1, "m")]


def test_calls_of_a_day_in_utc_add_up_for_each_model(call, run, alice):
    call(datetime(2026, 3, 2, 0, 0, tzinfo=UTC), tokens=1)
    call(datetime(2026, 3, 2, 23, 59, tzinfo=UTC), tokens=2)

    found = run(usage.daily_usage, user_id=alice.id, start=FIRST, end=LAST, limit=10, after=None)
    assert found == [DailyUsage(date(2026, 3, 2), "m", 3, 6, Decimal("0.03"))]


def test_the_newest_day_comes_first_and_a_page_goes_on_after_its_last_row(call, days):
    for day, model in ((1, "a"), (2, "a"), (2, "b"), (3, "b")):
        call(datetime(2026, 3, day, tzinfo=UTC), model)

    assert days(limit=2) == [(3, "b"), (2, "a")]
    assert days(after=UsageCursor(date(2026, 3, 2), "a")) == [(2, "b"), (1, "a")]


def test_a_lost_call_is_charged_by_its_estimate_and_the_turns_output(run, engine, alice):
    turn_id, subject = new_id(), BillingSubject(alice.id)
    detail = ReservationDetail(turn_id, "m", "p", 1000, Decimal(2), Decimal(10))
    run(limits.admit, subject, DefaultLimits(10, Decimal(5)), amount_usd=Decimal(1), detail=detail)
    cost = run(usage.settle_lost_calls, turn_id, user_id=alice.id, output_tokens=100)
    again = run(usage.settle_lost_calls, turn_id, user_id=alice.id, output_tokens=100)

    assert cost == again == TurnCost(1000, 100, Decimal("0.003"))
    with user_scope(engine, alice.id) as connection:
        columns = "turn_id, purpose, model, provider, status, input_tokens, output_tokens, cached_input_tokens, cost_usd, is_estimate"
        (row,) = connection.execute(text(f"SELECT {columns} FROM usage")).all()
    assert tuple(row) == (turn_id, "chat", "m", "p", "interrupted", 1000, 100, 0, Decimal("0.003"), True)


def test_the_output_of_a_lost_turn_is_charged_to_its_last_call_as_far_as_it_is_not_charged_yet(run, engine, alice):
    turn_id, subject = new_id(), BillingSubject(alice.id)
    done = Charge(new_id(), "chat", "m", "p", "completed", 500, 60, 0, Decimal("0.001"))
    run(usage.settle, subject, [done], reservations=[], turn_id=turn_id)
    for model in ("first", "last"):
        detail = ReservationDetail(turn_id, model, "p", 1000, Decimal(2), Decimal(10))
        run(limits.reserve, subject, DefaultLimits(10, Decimal(5)), amount_usd=Decimal(1), detail=detail)
    cost = run(usage.settle_lost_calls, turn_id, user_id=alice.id, output_tokens=100)

    assert cost == TurnCost(2500, 100, Decimal("0.0054"))
    with user_scope(engine, alice.id) as connection:
        rows = connection.execute(text("SELECT model, output_tokens FROM usage")).all()
    assert sorted(map(tuple, rows)) == [("first", 0), ("last", 40), ("m", 60)]


def test_output_that_is_charged_already_is_not_charged_to_a_lost_call(run, alice):
    turn_id, subject = new_id(), BillingSubject(alice.id)
    done = Charge(new_id(), "chat", "m", "p", "completed", 500, 60, 0, Decimal("0.001"))
    run(usage.settle, subject, [done], reservations=[], turn_id=turn_id)
    detail = ReservationDetail(turn_id, "m", "p", 1000, Decimal(2), Decimal(10))
    run(limits.reserve, subject, DefaultLimits(10, Decimal(5)), amount_usd=Decimal(1), detail=detail)

    assert run(usage.settle_lost_calls, turn_id, user_id=alice.id, output_tokens=60) == TurnCost(1500, 60, Decimal("0.003"))


def test_a_lost_turn_without_a_reservation_left_still_has_its_known_output(run, alice):
    assert run(usage.settle_lost_calls, new_id(), user_id=alice.id, output_tokens=7) == TurnCost(0, 7, Decimal(0))


def test_the_lost_calls_of_another_users_turn_with_the_same_id_are_left_alone_without_row_level_security(superuser, alice, bob):
    turn_id, detail = new_id(), (Decimal(2), Decimal(10))
    with superuser.connect() as connection:
        for person in (alice, bob):
            of_turn = ReservationDetail(turn_id, "m", "p", 1000, *detail)
            limits.reserve(connection, BillingSubject(person.id), DefaultLimits(10, Decimal(5)), amount_usd=Decimal(1), detail=of_turn)
        cost = usage.settle_lost_calls(connection, turn_id, user_id=alice.id, output_tokens=100)
        charged = connection.execute(text("SELECT user_id, api_key_id FROM usage WHERE turn_id = :id"), {"id": turn_id}).all()
        left = connection.scalars(text("SELECT user_id FROM budget_reservations WHERE turn_id = :id"), {"id": turn_id}).all()
        connection.rollback()

    assert cost == TurnCost(1000, 100, Decimal("0.003"))
    assert (charged, left) == ([(alice.id, None)], [bob.id])
