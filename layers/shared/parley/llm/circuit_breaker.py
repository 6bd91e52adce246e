"""The circuit breaker of each provider, shared by all processes through a store.

A circuit is closed while the provider responds, open after many failures, and half open while one caller probes it (M.
Nygard, "Release It!", 2nd edition, chapter 5). `Circuit` is a pure state machine; `CircuitBreaker` connects it
to the store.

A healthy call does not access the store: circuits are read at most every two seconds, and only failures and the first
success after a failure are written. If the store is unavailable, calls proceed.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, Protocol

from parley.errors import Unavailable
from parley.llm.model import Model
from parley.observability import logger

type CircuitState = Literal["closed", "open", "half_open"]

FAILURE_WINDOW = timedelta(seconds=60)
COOLDOWN = timedelta(seconds=20)
PROBE_TIMEOUT = timedelta(seconds=60)  # a process that probes for longer is considered dead
MIN_CALLS = 5
MAX_CONSECUTIVE_FAILURES = 5


@dataclass(frozen=True, slots=True)
class Circuit:
    """The state of a provider.

    `calls` and `failures` count within the window since `window_at`; `in_a_row` counts consecutive failures.
    """

    state: CircuitState = "closed"
    calls: int = 0
    failures: int = 0
    in_a_row: int = 0
    window_at: datetime | None = None
    opened_at: datetime | None = None
    probe_at: datetime | None = None

    def blocked_s(self, now: datetime) -> float:
        """Return for how many seconds calls are blocked; zero if the circuit is closed or the next caller may probe."""
        until = None
        if self.state == "open" and self.opened_at:
            until = self.opened_at + COOLDOWN
        if self.state == "half_open" and self.probe_at:
            until = self.probe_at + PROBE_TIMEOUT
        return max((until - now).total_seconds(), 0.0) if until else 0.0

    def probing(self, now: datetime) -> "Circuit | None":
        """Return the circuit with a probe that starts now, or None if probing is not allowed yet or not needed."""
        if self.state == "closed" or self.blocked_s(now) > 0:
            return None
        return replace(self, state="half_open", probe_at=now)

    def failed(self, now: datetime, *, is_probe: bool = False, earlier_successes: int = 0) -> "Circuit":
        """Return the circuit after a failure, preceded by `earlier_successes` that were not counted yet.

        Only the probe's failure opens a half-open circuit again: other calls started before it opened.
        """
        if self.state == "half_open" and is_probe:
            return Circuit("open", opened_at=now)
        if self.state != "closed":
            return self
        counted = self._in_window(now)
        counted = replace(
            counted,
            calls=counted.calls + earlier_successes + 1,
            failures=counted.failures + 1,
            in_a_row=1 if earlier_successes else counted.in_a_row + 1,
        )
        return Circuit("open", opened_at=now) if counted._has_failed_too_often() else counted

    def succeeded(self, now: datetime, *, is_probe: bool = False, successes: int = 1) -> "Circuit":
        """Return the circuit after successes. The probe's success closes it; calls that began before it opened do not count."""
        if self.state == "half_open" and is_probe:
            return Circuit()
        if self.state != "closed":
            return self
        counted = self._in_window(now)
        return replace(counted, calls=counted.calls + successes, in_a_row=0)

    def released(self) -> "Circuit | None":
        """Return the circuit without its probe, so that the next caller may probe, or None if there was no probe."""
        return replace(self, probe_at=None) if self.state == "half_open" and self.probe_at else None

    def _in_window(self, now: datetime) -> "Circuit":
        has_ended = self.window_at is None or now - self.window_at >= FAILURE_WINDOW
        return Circuit(in_a_row=self.in_a_row, window_at=now) if has_ended else self

    def _has_failed_too_often(self) -> bool:
        return self.in_a_row >= MAX_CONSECUTIVE_FAILURES or (self.calls >= MIN_CALLS and 2 * self.failures >= self.calls)


CIRCUITS_CACHE_S = 2.0

type CircuitChange = Callable[[Circuit, datetime], Circuit | None]


class CircuitStore(Protocol):
    """The shared store of circuits, with one clock for all processes."""

    def read(self) -> tuple[Mapping[str, Circuit], datetime]:
        """Return the circuit of each provider that has ever failed, and the store's time. Raises Unavailable."""
        ...

    def change(self, provider: str, step: CircuitChange) -> Circuit | None:
        """Apply `step` to a circuit under a lock and return the result. If `step` returns None, nothing changes. Raises Unavailable."""
        ...


class CircuitBreaker:
    """Decides whether a provider may be called, and records the results. Each worker has its own; all share one store."""

    def __init__(self, store: CircuitStore, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._store, self._now_s = store, now_s
        self._circuits: dict[str, Circuit] = {}
        self._read_s: float | None = None
        self._read_at: datetime | None = None
        self._successes: dict[str, int] = {}
        self._probing: set[str] = set()

    def admit(self, provider: str) -> float:
        """Return zero if the provider may be called now, else the number of seconds to wait.

        After an open circuit's cooldown, exactly one process is admitted, as the probe.
        """
        self._refresh()
        circuit = self._circuits.get(provider)
        if circuit is None or self._read_at is None or circuit.state == "closed":
            return 0.0
        return circuit.blocked_s(self._read_at) or self._probe(provider)

    def failed(self, provider: str) -> None:
        """Record a failed call."""
        earlier, is_probe = self._successes.pop(provider, 0), self._is_probing(provider)
        self._change(provider, lambda circuit, now: circuit.failed(now, is_probe=is_probe, earlier_successes=earlier))

    def succeeded(self, provider: str) -> None:
        """Record a successful call."""
        circuit, is_probe = self._circuits.get(provider, Circuit()), self._is_probing(provider)
        self._successes[provider] = self._successes.get(provider, 0) + 1
        if circuit.state == "closed" and not circuit.in_a_row:
            return
        successes = self._successes.pop(provider)
        self._change(provider, lambda circuit, now: circuit.succeeded(now, is_probe=is_probe, successes=successes))

    def released(self, provider: str) -> None:
        """If our own probe ended without a result, for example because it was stopped, let the next caller probe the provider."""
        if self._is_probing(provider):
            self._change(provider, lambda circuit, now: circuit.released())  # noqa: ARG005 - the signature of a step

    def _probe(self, provider: str) -> float:
        blocked_s: list[float] = [0.0]

        def step(circuit: Circuit, now: datetime) -> Circuit | None:
            blocked_s[0] = circuit.blocked_s(now)
            return circuit.probing(now)

        if self._change(provider, step):
            self._probing.add(provider)
        return blocked_s[0]

    def _is_probing(self, provider: str) -> bool:
        """Return whether the call that just ended was our probe, and forget the probe."""
        is_probing = provider in self._probing
        self._probing.discard(provider)
        return is_probing

    def _refresh(self) -> None:
        now_s = self._now_s()
        if self._read_s is not None and now_s - self._read_s < CIRCUITS_CACHE_S:
            return
        self._read_s = now_s
        try:
            circuits, self._read_at = self._store.read()
            self._circuits = dict(circuits)
        except Unavailable as exc:
            logger.warning("circuits_not_read", reason=str(exc))

    def _change(self, provider: str, step: CircuitChange) -> bool:
        """Apply `step` to the circuit in the store; return False if the step changes nothing or the store is unavailable."""
        try:
            changed = self._store.change(provider, step)
        except Unavailable as exc:
            logger.warning("circuit_not_written", provider=provider, reason=str(exc))
            return False
        if changed is None:
            return False
        self._circuits[provider] = changed
        if changed.state == "open":
            logger.warning("circuit_opened", provider=provider)
        return True


def provider_key(model: Model) -> str:
    """Return the name under which models share a circuit: the provider with its `base_url` or region."""
    location = model.base_url or model.region
    return f"{model.provider} {location}" if location else model.provider
