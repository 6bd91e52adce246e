"""`parley up` with faults that only its own process can cause: queues that deliver twice or late, and a clock that steps.

    python -m tests.chaos.emulator up --port 3000 …

The environment variable `PARLEY_CHAOS_SEED` seeds the queues' random choices. The variables of `clock.py` are passed on to every
process of the stack.
"""

import os
import sys
from random import Random

from cli.main import main
from local import processes
from local.queues import service
from local.queues.store import MAX_DELAY_S, QueueStore
from tests.chaos.clock import CLOCK_VARIABLES

SEED = "PARLEY_CHAOS_SEED"
DOUBLED_SHARE = 0.15
LATE_SHARE = 0.15
MAX_LATE_S = 20


class UnreliableQueueStore(QueueStore):
    """Queues that deliver some messages twice and some late, so that they also arrive in another order. SQS may do the same."""

    random = Random(os.environ.get(SEED, "0"))

    def send(self, name, body, *, delay_s=None, attributes=None):
        if self.random.random() < DOUBLED_SHARE:
            super().send(name, body, delay_s=self._later(delay_s), attributes=attributes)
        is_late = self.random.random() < LATE_SHARE
        return super().send(name, body, delay_s=self._later(delay_s) if is_late else delay_s, attributes=attributes)

    def _later(self, delay_s):
        return min((delay_s or 0) + self.random.randint(1, MAX_LATE_S), MAX_DELAY_S)


def install_faults():
    """Replace the emulator's queues, and start its child processes with the clock's variables."""
    start_process = processes.start_process
    clock = {name: os.environ[name] for name in CLOCK_VARIABLES if name in os.environ}

    async def start_with_clock(*command, environment, **options):
        return await start_process(*command, environment={**environment, **clock}, **options)

    vars(processes)["start_process"] = start_with_clock
    vars(service)["QueueStore"] = UnreliableQueueStore


if __name__ == "__main__":
    install_faults()
    sys.exit(main())
