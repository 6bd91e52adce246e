"""A worker dies at any step of a turn, and the client retries with the same idempotency key."""

import json
import os
import subprocess
import sys

import pytest

from functions.chat.turn.events import NumberedEvent
from tests.conftest import ROOT
from tests.functions.chat.crash_worker import DIED, IDEMPOTENCY_KEY
from tests.support.time_limits import HANG_S, wait_until
from tests.support.turns import HELLO, ScriptedProvider, make_services, stored_messages, take_numbered

# Begin: four statements and a commit. Retrieval: a statement and a commit. Heartbeats: a statement and a commit each for
# the model call, two text deltas and the end. Finish: four statements and a commit.
STEPS = 5 + 2 + 2 * 4 + 5
BEGIN_STEPS = 5
WORKER_NAME = "crash-worker"
STATE = """
SELECT t.id, t.status, (SELECT count(*) FROM turns o WHERE o.user_id = t.user_id) AS turns,
       (SELECT count(*) FROM usage u WHERE u.user_id = t.user_id) AS charges,
       (SELECT count(*) FROM budget_reservations r WHERE r.user_id = t.user_id) AS reserved
  FROM turns t WHERE t.user_id = :u
"""


@pytest.fixture(scope="module")
def workers(postgres, environment, database):
    """The process that starts the workers: it imports what they need once. It ends when its input does."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.functions.chat.crash_worker"]
    options = {"env": os.environ | {"PGAPPNAME": WORKER_NAME}, "text": True, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, **options) as process:
        yield process


@pytest.fixture
def crash(alice, postgres, workers):
    """Run a worker that takes the turn and dies at a step; return when PostgreSQL has rolled its transaction back."""

    def is_disconnected():
        return postgres.execute(f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{WORKER_NAME}'") == [(0,)]

    def crash(step):
        workers.stdin.write(f"{json.dumps({'last_step': step, 'claims': alice.claims})}\n")
        workers.stdin.flush()
        done = json.loads(workers.stdout.readline())
        assert wait_until(is_disconnected)
        return done

    return crash


@pytest.fixture
def retry(engine, alice, change):
    """Send the same request again after the turn has become stale."""

    def retry():
        change("UPDATE turns SET heartbeat_at = now() - interval '31 seconds' WHERE user_id = :u", u=alice.id)
        options = {"idempotency_key": IDEMPOTENCY_KEY, "model": "priced", "time_limit_s": HANG_S}
        events = take_numbered(make_services(engine, ScriptedProvider(HELLO)), alice, **options)
        return [(each.number, each.event.name, each.event.data()) for each in events if isinstance(each, NumberedEvent)]

    return retry


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_retry_finds_one_ended_turn_whichever_step_the_worker_died_at(engine, alice, crash, retry, row, log, step):
    assert crash(step)["exit_code"] == DIED
    first, second = retry(), retry()
    state = row(STATE, u=alice.id)
    question, answer = stored_messages(engine, alice, first[0][2]["conversation_id"])
    logged = "".join("".join(data["texts"]) for _, name, data in log(state.id) if name == "text.delta")

    assert state.status == ("completed" if step <= BEGIN_STEPS else "interrupted")
    assert (state.turns, state.charges, state.reserved) == (1, 1, 0)
    assert (question.text, answer.status) == ("hello", state.status)
    assert answer.text == logged == "Hello"[: len(logged)]
    assert [name for _, name, _ in second].count(f"turn.{state.status}") == 1
    assert (second[0], second[-1]) == (first[0], first[-1])


def test_a_complete_turn_takes_the_expected_steps(crash, retry, row, alice):
    assert crash(0) == {"exit_code": 0, "steps": STEPS}
    assert retry()[-1][1] == "turn.completed"
    assert tuple(row(STATE, u=alice.id))[1:] == ("completed", 1, 1, 0)
