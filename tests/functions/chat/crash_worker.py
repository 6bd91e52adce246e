"""A worker that dies at its k-th step: `python -m tests.functions.chat.crash_worker K < claims`.

A step is a statement or a commit.
"""

import json
import os
import sys

from sqlalchemy import event

from functions.chat.turn import heartbeat, tool_loop
from parley.auth.principal import Principal
from parley.db.engine import make_engine
from parley.db.turn.turn_begin import IdempotencyKey
from parley.settings import DatabaseSettings
from tests.support.turns import HELLO, ScriptedProvider, make_services, take

IDEMPOTENCY_KEY = IdempotencyKey("POST /chat", "a key", b"body")


class TurnOwner:
    """The user that takes the turn, as their token's claims describe them."""

    def __init__(self, claims: dict[str, str]) -> None:
        self.principal = Principal.from_claims(claims)


def main(last_step: int) -> None:
    """Take a turn that logs each word, and exit at step `last_step`. Print the number of steps of a complete turn."""
    engine, steps = make_engine(DatabaseSettings.read()), 0

    def step(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == last_step:
            os._exit(9)

    event.listen(engine, "before_cursor_execute", step)
    event.listen(engine, "commit", step)
    heartbeat.TICK_S, tool_loop.POLL_S = 0.0, 10.0  # one tick after each event, and no others
    take(make_services(engine, ScriptedProvider(HELLO)), TurnOwner(json.load(sys.stdin)), idempotency_key=IDEMPOTENCY_KEY, model="priced")
    print(steps)


if __name__ == "__main__":
    main(int(sys.argv[1]))
