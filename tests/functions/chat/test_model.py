"""Conversations, turns, stops, replays, retries, forks and deletions in any order, compared with a simple oracle.

Two processes run behind a pooler. The default run is deterministic; `make model` runs five hundred random ones of fifty steps.
"""

import os
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.fakes.provider import MODELS, FakeProvider
from tests.fakes.vendor import running_vendor
from tests.functions.chat.conversation_machine import ConversationMachine
from tests.support.api_gateway import Person
from tests.support.lambda_workers import WorkerOptions, running_lambda_workers

RUNS = int(os.environ.get("PARLEY_TEST_RUNS", "0"))
THOROUGH = settings(
    max_examples=RUNS or 4,
    stateful_step_count=50 if RUNS else 30,
    derandomize=not RUNS,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink] if RUNS else [Phase.generate],
    suppress_health_check=list(HealthCheck),
)
SUMS = """
SELECT (SELECT count(*) FROM usage WHERE user_id IN ({users})),
       (SELECT coalesce(sum(reserved_usd), 0) FROM budgets WHERE user_id IN ({users})),
       (SELECT coalesce(sum(cost_usd), 0) FROM usage WHERE user_id IN ({users})),
       (SELECT coalesce(sum(spent_usd), 0) FROM budgets WHERE user_id IN ({users})),
       (SELECT count(*) FROM turns WHERE user_id IN ({users}) AND status = 'running')
"""


@pytest.fixture
def provider():
    with running_vendor() as vendor:
        vendor.script = FakeProvider(vendor)
        yield vendor.script


@pytest.fixture
def workers(provider, pooled, tmp_path):
    models = tmp_path / "models.toml"
    models.write_text(MODELS.format(url=provider.vendor.url))
    staffing = WorkerOptions(
        pooled | {"PARLEY_MODELS_FILE": str(models)}, workers_per_process=16, tick_s=0.05, time_limit_s=60, has_circuits=False
    )
    with running_lambda_workers(staffing) as started:
        yield started


@pytest.mark.timeout(0 if RUNS else 300)
def test_any_sequence_of_actions_matches_the_oracle(workers, provider, auth, postgres):
    people = []

    def make_machine():
        # Both are new, because an access token is valid for ten minutes, and many runs take longer.
        people.append(Person.registered(auth))
        # The oracle knows no memory, and the provider counts its calls by a prompt's newest message: the question alone.
        auth.patch("/auth/me", {"memory_enabled": False}, as_=people[-1])
        return ConversationMachine(workers, provider, people[-1], Person.registered(auth))

    run_state_machine_as_test(make_machine, settings=THOROUGH)
    calls = sum(map(len, provider.histories.values()))
    ((charges, reserved, charged, spent, running),) = postgres.execute(SUMS.format(users=", ".join(f"'{one.id}'" for one in people)))

    assert (charges, reserved, running) == (calls, Decimal(0), 0)
    assert charged == spent
