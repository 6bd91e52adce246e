"""Many at once, from several processes and through PgBouncer where it is installed: limits let in exactly what there is room for."""

import os
import subprocess
import sys
from decimal import Decimal

import pytest

from parley.db.metering import budgets
from parley.db.transactions import user_scope
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
payer, default_limits = BillingSubject(UUID(user)), DefaultLimits(int(rate), Decimal(1))


def ask(engine):
    try:
        with user_scope(engine, payer.user_id) as connection:
            reserved = limits.admit(connection, payer, default_limits, amount_usd=Decimal(price))
    except (BudgetExhausted, RateLimited):
        return 0
    if cost:
        charge = Charge(reserved.id, "chat", "m", "p", "completed", cost_usd=Decimal(cost))
        with user_scope(engine, payer.user_id) as connection:
            usage.settle(connection, payer, [charge], reservations=[reserved.id], turn_id=None)
    return 1


def client(engine):
    return sum(ask(engine) for _ in range(int(times)))


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
    """Where the processes find the database."""
    with running_pgbouncer(postgres) as address:
        yield os.environ | address


def race(variables, person, *, clients=10, times=1, rate=1000, price="0", cost=""):
    """Let PROCESSES times `clients` ask at once, `times` each; return how many were let in."""
    given = [str(one) for one in (person.id, clients, times, rate, price, cost)]
    command = [sys.executable, "-c", CLIENTS, *given]
    started = [subprocess.Popen(command, env=variables, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(PROCESSES)]
    for one in started:
        assert one.stdout.readline() == "ready\n"
    for one in started:
        one.stdin.write("go\n")
        one.stdin.flush()
    return sum(int(one.communicate(timeout=50)[0]) for one in started)


def standing(engine, person):
    with user_scope(engine, person.id) as connection:
        return budgets.current_budget(connection, user_id=person.id, default_usd=Decimal(1))


def test_of_200_requests_at_once_exactly_the_burst_is_let_in(variables, alice):
    # One more would be let in after 15 seconds.
    assert race(variables, alice, clients=10, times=4, rate=4) == 4


def test_of_50_calls_at_once_exactly_the_10_that_there_is_money_for_are_made(engine, variables, alice):
    assert race(variables, alice, price="0.1") == 10
    assert standing(engine, alice).left_usd == 0


def test_what_is_settled_never_exceeds_the_budget(engine, variables, alice):
    let_in = race(variables, alice, times=4, price="0.1", cost="0.04")
    found = standing(engine, alice)

    assert (found.spent_usd, found.reserved_usd) == (let_in * Decimal("0.04"), 0)
    assert Decimal("0.9") < found.spent_usd <= 1
