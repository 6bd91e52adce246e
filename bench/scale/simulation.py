"""A discrete-event simulation of turns: gateway, Lambda, connections, writer, follow-up work.

Arrivals are Poisson; a turn's duration is lognormal around the measured median. A turn holds a Lambda execution to its end,
takes a connection for each of its transactions, and each transaction is served by one of the writer's cores, in order of
arrival. What the gateway or Lambda cannot admit is refused, as AWS does (429); everything else waits.
"""

import random
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

from bench.scale.stations import Assumptions, Setup, connections, cores
from bench.turns.footprint import Footprint

_TICK_S = 0.5
_SPREAD = 0.5  # sigma of the lognormal duration: most answers are within half and twice the median


@dataclass
class Outcome:
    """What happened. Waits are seconds that a turn spent waiting for the database, in all its transactions."""

    offered: int = 0
    throttled: int = 0
    without_execution: int = 0
    completed: int = 0
    waits_s: list[float] = field(default_factory=list)
    busiest_executions: int = 0
    follow_up_waiting: int = 0
    writer_busy_s: float = 0.0

    def wait_s(self, share: float) -> float:
        """Return a quantile of the waits, 0.0 if no turn completed."""
        ordered = sorted(self.waits_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0

    @property
    def refused(self) -> int:
        return self.throttled + self.without_execution


class TokenBucket:
    """API Gateway's throttle: `rate` tokens a second, at most `burst` saved."""

    def __init__(self, environment: simpy.Environment, *, rate: float, burst: float) -> None:
        self._environment = environment
        self._rate = rate
        self._burst = self._tokens = burst
        self._at = 0.0

    def take(self, count: float) -> bool:
        """Take tokens, or return False."""
        now = float(self._environment.now)
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < count:
            return False
        self._tokens -= count
        return True


class Simulation:
    """One run at `turns_per_s` for `seconds`."""

    def __init__(self, turn: Footprint, setup: Setup, assumptions: Assumptions, *, turns_per_s: float, seed: int = 1) -> None:
        self._turn = turn
        self._assumptions = assumptions
        self._turns_per_s = turns_per_s
        self._random = random.Random(seed)
        self._environment = environment = simpy.Environment()
        self._gateway = TokenBucket(environment, rate=setup.throttle_per_s, burst=setup.throttle_burst)
        self._executions_left = assumptions.lambda_concurrency
        self._connections = simpy.Resource(environment, max(1, connections(setup, assumptions)))
        # Fractions of a core serve more slowly.
        self._speed = min(1.0, cores(setup, assumptions))
        self._writer = simpy.Resource(environment, max(1, int(cores(setup, assumptions))))
        self._follow_up = simpy.Resource(environment, setup.follow_up_concurrency)
        self._limit = assumptions.lambda_concurrency
        self.outcome = Outcome()

    def run(self, seconds: float) -> Outcome:
        """Simulate and return the outcome."""
        self._environment.process(self._arrivals(seconds))
        self._environment.run(until=seconds)
        self.outcome.follow_up_waiting = len(self._follow_up.queue)
        # The turns that arrived last may finish.
        self._environment.run(until=seconds + 120)
        return self.outcome

    def _arrivals(self, seconds: float) -> Generator[Any, Any]:
        while self._environment.now < seconds:
            yield self._environment.timeout(self._random.expovariate(self._turns_per_s))
            self.outcome.offered += 1
            if not self._gateway.take(self._assumptions.requests_per_turn):
                self.outcome.throttled += 1
            elif self._executions_left == 0:
                self.outcome.without_execution += 1
            else:
                self._environment.process(self._run_turn())

    def _run_turn(self) -> Generator[Any, Any]:
        self._executions_left -= 1
        self.outcome.busiest_executions = max(self.outcome.busiest_executions, self._limit - self._executions_left)
        model_s = self._turn.turn_ms / 1000 * self._random.lognormvariate(0, _SPREAD)
        ticks = max(1, int(model_s / _TICK_S))
        # The first and the last transaction are heavier than a tick; together the transactions cost what was measured.
        total_s = self._turn.database_cpu_ms / 1000 * (model_s / (self._turn.turn_ms / 1000) + 1) / 2
        shares = [4.0, *([1.0] * ticks), 4.0]
        waited = 0.0
        for share in shares:
            waited += yield self._environment.process(self._transaction(total_s * share / sum(shares)))
            yield self._environment.timeout(model_s / len(shares))
        self._executions_left += 1
        self.outcome.completed += 1
        self.outcome.waits_s.append(waited)
        if self._random.random() < self._turn.invocations.get("SummarizeFunction", 0.0):
            self._environment.process(self._run_follow_up())

    def _transaction(self, service_s: float) -> Generator[Any, Any, float]:
        """Take a connection and a core; return the seconds waited for them."""
        began = float(self._environment.now)
        with self._connections.request() as connection:
            yield connection
            with self._writer.request() as core:
                yield core
                waited = float(self._environment.now) - began
                actual_s = self._random.expovariate(1 / service_s) / self._speed
                self.outcome.writer_busy_s += actual_s
                yield self._environment.timeout(actual_s)
        return waited

    def _run_follow_up(self) -> Generator[Any, Any]:
        with self._follow_up.request() as job:
            yield job
            yield self._environment.timeout(self._random.expovariate(1000 / self._assumptions.follow_up_ms))
