"""A worker that dies at any step of a turn, and the client's retry with the same idempotency key."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.functions.chat.crash_worker import IDEMPOTENCY_KEY
from tests.support.turns import HELLO, ScriptedProvider, make_services, stored_messages, take_numbered

# Four statements and a commit; recall and its commit; a tick with its commit for the call, two words and the end; three
# statements and a commit.
STEPS = 5 + 2 + 2 * 4 + 4
BEGUN = 5
DIED = 9
STATE = """
SELECT t.id, t.status, (SELECT count(*) FROM turns o WHERE o.user_id = t.user_id) AS turns,
       (SELECT count(*) FROM usage u WHERE u.user_id = t.user_id) AS charges,
       (SELECT count(*) FROM budget_reservations r WHERE r.user_id = t.user_id) AS reserved
  FROM turns t WHERE t.user_id = :u
"""


@pytest.fixture
def crash(alice):
    """Return a function that runs a worker which dies at a given step of the turn."""

    def crash(step):
        command = [sys.executable, "-W", "ignore", "-m", "tests.functions.chat.crash_worker", str(step)]
        claims = json.dumps(alice.claims)
        return subprocess.run(command, cwd=ROOT, input=claims, text=True, capture_output=True, timeout=100, check=False)

    return crash


@pytest.fixture
def retry(engine, alice, change):
    """Return a function that repeats the request half a minute later."""

    def retry():
        change("UPDATE turns SET heartbeat_at = now() - interval '31 seconds' WHERE user_id = :u", u=alice.id)
        taken = take_numbered(make_services(engine, ScriptedProvider(HELLO)), alice, idempotency_key=IDEMPOTENCY_KEY, model="priced")
        return [(one.number, one.event.name, one.event.data()) for one in taken]

    return retry


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_retry_finds_one_ended_turn_whichever_step_the_worker_died_at(engine, alice, crash, retry, row, log, step):
    assert crash(step).returncode == DIED
    first, second = retry(), retry()
    state = row(STATE, u=alice.id)
    question, answer = stored_messages(engine, alice, first[0][2]["conversation_id"])
    logged = "".join("".join(data["texts"]) for _, name, data in log(state.id) if name == "text.delta")

    assert state.status == ("completed" if step <= BEGUN else "interrupted")
    assert (state.turns, state.charges, state.reserved) == (1, 1, 0)
    assert (question.text, answer.status) == ("hello", state.status)
    assert answer.text == logged == "Hello"[: len(logged)]
    assert [name for _, name, _ in second].count(f"turn.{state.status}") == 1
    assert (second[0], second[-1]) == (first[0], first[-1])


def test_a_complete_turn_takes_the_expected_steps(crash, retry, row, alice):
    done = crash(0)

    assert (done.returncode, int(done.stdout.split()[-1])) == (0, STEPS)
    assert retry()[-1][1] == "turn.completed"
    assert tuple(row(STATE, u=alice.id))[1:] == ("completed", 1, 1, 0)
