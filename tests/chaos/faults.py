"""The faults of a run. Each kind has its own thread and its own random pauses, so that faults also coincide."""

import os
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from random import Random

# The shortest and the longest pause in seconds before the next fault of a kind.
PAUSES_S = {
    "worker killed": (1, 5),
    "database killed": (15, 50),
    "pooler killed": (10, 40),
    "file store killed": (20, 60),
    "clock step": (8, 25),
    "full disk": (30, 90),
    "stack killed": (45, 150),
}
MAX_STEP_S = 90
FULL_S = (1.0, 5.0)


class Faults:
    """Causes faults until `stop`. `counts` tells how often each kind was caused; `missing` are kinds that this machine cannot cause."""

    def __init__(self, stack, clock, *, seed):
        self.counts = Counter()
        self._stack, self._clock, self._seed = stack, clock, seed
        self._is_over = threading.Event()
        self.missing = {kind: reason for kind, reason in self._obstacles() if reason}
        self._threads = [threading.Thread(target=self._cause, args=(kind,), daemon=True) for kind in PAUSES_S if kind not in self.missing]

    def start(self):
        for thread in self._threads:
            thread.start()

    def stop(self):
        """Cause no further fault. The clock keeps its offset."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    @property
    def have_all_occurred(self):
        return all(self.counts[kind] for kind in PAUSES_S if kind not in self.missing)

    def _obstacles(self):
        yield "clock step", "" if self._clock.is_available else "there is no C compiler"
        yield "full disk", "" if self._stack.has_small_disk else "only root can mount a small disk"
        yield "pooler killed", "" if self._stack.service("pgbouncer") else "PgBouncer is not installed"

    def _cause(self, kind):
        random = Random(f"{kind} {self._seed}")
        causes = {
            "worker killed": self._kill_worker,
            "database killed": lambda _: self._kill_service("postgres"),
            "pooler killed": lambda _: self._kill_service("pgbouncer"),
            "file store killed": lambda _: self._kill_service("aws"),
            "clock step": self._step_clock,
            "full disk": self._fill_disk,
            "stack killed": lambda _: self._stack.restart(),
        }
        while not self._is_over.wait(random.uniform(*PAUSES_S[kind])):
            # A stack that starts again is left alone, or it would hardly ever come up.
            if not self._stack.is_starting and causes[kind](random) is not False:
                self.counts[kind] += 1

    def _kill_worker(self, random):
        workers = self._stack.workers()
        return kill(random.choice(workers)) if workers else False

    def _kill_service(self, name):
        service = self._stack.service(name)
        return kill(service["pid"]) if service else False

    def _step_clock(self, random):
        self._clock.step_to(random.randint(-MAX_STEP_S, MAX_STEP_S))

    def _fill_disk(self, random):
        with self._stack.full_disk():
            time.sleep(random.uniform(*FULL_S))


def kill(pid):
    """Kill a process. Returns False if it has already ended."""
    if pid is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False
