"""Concurrent requests from several processes, through PgBouncer if it is installed: limits admit exactly what fits."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from decimal import Decimal
from itertools import cycle

import pytest
from sqlalchemy import insert

from parley.db.metering import budgets
from parley.db.tables import group_members, groups
from parley.db.transactions import user_scope
from parley.ids import new_id
from tests.support.api_gateway import Person
from tests.support.pgbouncer import running_pgbouncer

PROCESSES = 5
CLIENTS = """
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import UUID

from parley.db.engine import make_engine
from parley.db.transactions import user_scope
from parley.db.metering import usage
from parley.db.metering.quotas import BillingSubject, DefaultLimits
from parley.db.metering.usage import Charge
from parley.metering import limits
from parley.metering.limits import BudgetExhausted, RateLimited
from parley.settings import DatabaseSettings


def admit(engine, subject, default_limits, price, cost):
    try:
        with user_scope(engine, subject.user_id) as connection:
            reserved = limits.admit(connection, subject, default_limits, amount_usd=Decimal(price))
    except (BudgetExhausted, RateLimited):
        return 0
    if cost:
        charge = Charge(reserved.id, "chat", "m", "p", "completed", cost_usd=Decimal(cost))
        with user_scope(engine, subject.user_id) as connection:
            usage.settle(connection, subject, [charge], reservations=[reserved.id], turn_id=None)
    return 1


for line in sys.stdin:
    race = json.loads(line)
    asked = BillingSubject(UUID(race["user"])), DefaultLimits(race["rate"], Decimal(1)), race["price"], race["cost"]
    engines = [make_engine(DatabaseSettings.read()) for _ in range(race["clients"])]
    for engine in engines:
        engine.connect().close()
    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(len(engines)) as pool:
        print(sum(pool.map(lambda engine: sum(admit(engine, *asked) for _ in range(race["times"])), engines)), flush=True)
    for engine in engines:
        engine.dispose()
"""


@pytest.fixture(scope="module")
def processes(postgres, environment, database):
    """Processes that wait for races. They end when their input does."""
    with running_pgbouncer(postgres) as address, ExitStack() as running:
        started = [
            subprocess.Popen(
                [sys.executable, "-c", CLIENTS], env=os.environ | address, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            for _ in range(PROCESSES)
        ]
        for process in started:
            running.enter_context(process)
        yield started


def race(processes, *people, clients=10, times=1, rate=1000, price="0", cost=""):
    """Run `clients` concurrent clients in each process, `times` requests each; return the number admitted.

    The processes act for the people in turn.
    """
    for process, person in zip(processes, cycle(people), strict=False):
        asked = {"user": str(person.id), "clients": clients, "times": times, "rate": rate, "price": price, "cost": cost}
        process.stdin.write(f"{json.dumps(asked)}\n")
        process.stdin.flush()
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return sum(int(process.stdout.readline()) for process in processes)


def budget_of(engine, person):
    with user_scope(engine, person.id) as connection:
        return budgets.current_budget(connection, user_id=person.id, default_usd=Decimal(1))


def test_of_200_concurrent_requests_exactly_the_burst_is_admitted(processes, alice):
    # After 15 seconds one more would be admitted.
    assert race(processes, alice, clients=10, times=4, rate=4) == 4


def test_of_50_concurrent_calls_exactly_the_10_within_the_budget_are_admitted(engine, processes, alice):
    assert race(processes, alice, price="0.1") == 10
    assert budget_of(engine, alice).left_usd == 0


def test_settled_costs_never_exceed_the_budget(engine, processes, alice):
    admitted = race(processes, alice, times=4, price="0.1", cost="0.04")
    budget = budget_of(engine, alice)

    assert (budget.spent_usd, budget.reserved_usd) == (admitted * Decimal("0.04"), 0)
    assert Decimal("0.9") < budget.spent_usd <= 1


@pytest.fixture
def team(auth, engines, alice, bob):
    """Three members of a group with a pool of 1 USD and a share of 0.5 USD for each."""
    people, group_id = [alice, bob, Person.registered(auth)], new_id()
    with engines["owner"].begin() as connection:
        connection.execute(insert(groups).values(id=group_id, name="g", monthly_budget_usd=1, member_budget_usd=Decimal("0.5")))
        rows = [{"user_id": person.id, "group_id": group_id, "role": "owner", "pays": True} for person in people]
        connection.execute(insert(group_members), rows)
    return people


def test_of_50_concurrent_calls_of_a_team_exactly_the_10_within_its_pool_are_admitted(engine, processes, team):
    admitted = race(processes, *team, price="0.1")
    budgets_after = [budget_of(engine, person) for person in team]

    assert admitted == 10
    assert sum(budget.reserved_usd for budget in budgets_after) == 1
    assert max(budget.reserved_usd for budget in budgets_after) <= Decimal("0.5")
    assert {budget.pool_left_usd for budget in budgets_after} == {0}


def test_settled_costs_of_a_team_exceed_neither_the_pool_nor_a_share(engine, processes, team):
    admitted = race(processes, *team, times=4, price="0.1", cost="0.04")
    spent = [budget_of(engine, person).spent_usd for person in team]

    assert sum(spent) == admitted * Decimal("0.04") == 1 - budget_of(engine, team[0]).pool_left_usd
    assert max(spent) <= Decimal("0.5")
    assert Decimal("0.5") < sum(spent) <= 1
