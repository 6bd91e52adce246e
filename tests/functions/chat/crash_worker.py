"""Workers that die at their K-th step: `python -m tests.functions.chat.crash_worker`.

A step is a statement or a commit. Each line of the input is JSON with a worker's `last_step`, 0 for none, and the `claims` of its user.
The answer is a line of JSON with the worker's `exit_code`, and its number of `steps` if the turn completed.
"""

import json
import os
import sys
import traceback

from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from functions.chat.turn import heartbeat, tool_loop
from parley.auth.principal import Principal
from parley.db.engine import make_engine
from parley.db.turn.turn_begin import IdempotencyKey
from parley.settings import DatabaseSettings
from tests.support.time_limits import HANG_S, wait_until
from tests.support.turns import HELLO, ScriptedProvider, make_services, take

DIED = 9
IDEMPOTENCY_KEY = IdempotencyKey("POST /chat", "a key", b"body")


class TurnOwner:
    """The user who takes the turn."""

    def __init__(self, claims: dict[str, str]) -> None:
        self.principal = Principal.from_claims(claims)


def is_connected(engine: Engine) -> bool:
    """Open the pool's connection. Return False if the server did not accept it in time."""
    try:
        engine.connect().close()
    except OperationalError:
        return False
    return True


def run_turn(last_step: int, claims: dict[str, str]) -> int:
    """Take a turn that logs each event by itself, and die at `last_step`. Return the number of steps if the turn completes."""
    engine, steps = make_engine(DatabaseSettings.read()), 0
    # Connect first: only the turn's own steps are to be counted, and none may depend on how fast the server accepts.
    wait_until(lambda: is_connected(engine))

    def step(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == last_step:
            os._exit(DIED)

    event.listen(engine, "before_cursor_execute", step)
    event.listen(engine, "commit", step)
    # One heartbeat after each event, and none while waiting for the next event.
    heartbeat.TICK_S, tool_loop.POLL_S = 0.0, HANG_S
    options = {"idempotency_key": IDEMPOTENCY_KEY, "model": "priced", "time_limit_s": 2 * HANG_S}
    take(make_services(engine, ScriptedProvider(HELLO)), TurnOwner(claims), **options)
    return steps


def run_forked(last_step: int, claims: dict[str, str]) -> dict[str, int]:
    """Run a worker in a copy of this process, which has imported all that a worker needs."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if not pid:
        # A turn prints its metrics, and the output is for the answers.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        try:
            os.write(write_end, str(run_turn(last_step, claims)).encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(write_end)
    with os.fdopen(read_end) as output:
        steps = output.read()
    _, status = os.waitpid(pid, 0)
    return {"exit_code": os.waitstatus_to_exitcode(status), "steps": int(steps or 0)}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run_forked(**json.loads(line))), flush=True)
