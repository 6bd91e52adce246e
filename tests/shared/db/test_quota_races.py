"""Concurrent requests from several processes, through PgBouncer if it is installed: limits admit exactly what fits."""

import os
import subprocess
import sys
from decimal import Decimal

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

user, clients, times, rate, price, cost = sys.argv[1:]
subject, default_limits = BillingSubject(UUID(user)), DefaultLimits(int(rate), Decimal(1))


def admit(engine):
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


def client(engine):
    return sum(admit(engine) for _ in range(int(times)))


engines = [make_engine(DatabaseSettings.read()) for _ in range(int(clients))]
for engine in engines:
    engine.connect().close()
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(len(engines)) as pool:
    print(sum(pool.map(client, engines)), flush=True)
"""


@pytest.fixture(scope="module")
def variables(postgres, environment, database):
    """The environment with which the processes connect to the database."""
    with running_pgbouncer(postgres) as address:
        yield os.environ | address


def race(variables, *people, clients=10, times=1, rate=1000, price="0", cost=""):
    """Run `clients` concurrent clients in each of PROCESSES processes, `times` requests each; return the number admitted.

    The processes act for the people in turn.
    """
    arguments = [str(value) for value in (clients, times, rate, price, cost)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLIENTS, str(people[number % len(people)].id), *arguments],
            env=variables,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return sum(int(process.communicate(timeout=50)[0]) for process in processes)


def budget_of(engine, person):
    with user_scope(engine, person.id) as connection:
        return budgets.current_budget(connection, user_id=person.id, default_usd=Decimal(1))


def test_of_200_concurrent_requests_exactly_the_burst_is_admitted(variables, alice):
    # After 15 seconds one more would be admitted.
    assert race(variables, alice, clients=10, times=4, rate=4) == 4


def test_of_50_concurrent_calls_exactly_the_10_within_the_budget_are_admitted(engine, variables, alice):
    assert race(variables, alice, price="0.1") == 10
    assert budget_of(engine, alice).left_usd == 0


def test_settled_costs_never_exceed_the_budget(engine, variables, alice):
    admitted = race(variables, alice, times=4, price="0.1", cost="0.04")
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


def test_of_50_concurrent_calls_of_a_team_exactly_the_10_within_its_pool_are_admitted(engine, variables, team):
    admitted = race(variables, *team, price="0.1")
    budgets_after = [budget_of(engine, person) for person in team]

    assert admitted == 10
    assert sum(budget.reserved_usd for budget in budgets_after) == 1
    assert max(budget.reserved_usd for budget in budgets_after) <= Decimal("0.5")
    assert {budget.pool_left_usd for budget in budgets_after} == {0}


def test_settled_costs_of_a_team_exceed_neither_the_pool_nor_a_share(engine, variables, team):
    admitted = race(variables, *team, times=4, price="0.1", cost="0.04")
    spent = [budget_of(engine, person).spent_usd for person in team]

    assert sum(spent) == admitted * Decimal("0.04") == 1 - budget_of(engine, team[0]).pool_left_usd
    assert max(spent) <= Decimal("0.5")
    assert Decimal("0.5") < sum(spent) <= 1
