"""A worker that dies at its K-th step: `python -m tests.functions.chat.crash_worker K < claims`.

A step is a statement or a commit.
"""

import json
import os
import sys

from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from functions.chat.turn import heartbeat, tool_loop
from parley.auth.principal import Principal
from parley.db.engine import make_engine
from parley.db.turn.turn_begin import IdempotencyKey
from parley.settings import DatabaseSettings
from tests.support.time_limits import HANG_S, wait_until
from tests.support.turns import HELLO, ScriptedProvider, make_services, take

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


def main(last_step: int) -> None:
    """Take a turn that logs each event by itself, and die at `last_step`. Print the number of steps if the turn completes."""
    engine, steps = make_engine(DatabaseSettings.read()), 0
    # Connect first: only the turn's own steps are to be counted, and none may depend on how fast the server accepts.
    wait_until(lambda: is_connected(engine))

    def step(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == last_step:
            os._exit(9)

    event.listen(engine, "before_cursor_execute", step)
    event.listen(engine, "commit", step)
    # One heartbeat after each event, and none while waiting for the next event.
    heartbeat.TICK_S, tool_loop.POLL_S = 0.0, HANG_S
    options = {"idempotency_key": IDEMPOTENCY_KEY, "model": "priced", "time_limit_s": 2 * HANG_S}
    take(make_services(engine, ScriptedProvider(HELLO)), TurnOwner(json.load(sys.stdin)), **options)
    print(steps)


if __name__ == "__main__":
    main(int(sys.argv[1]))
