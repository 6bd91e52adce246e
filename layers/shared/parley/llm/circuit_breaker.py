"""The circuit breaker of each model at its provider, shared by all processes through a store.

A circuit is closed while the model answers, open after many failures, and half open while one caller probes it (M.
Nygard, "Release It!", 2nd edition, chapter 5). `Circuit` is a pure state machine; `CircuitBreaker` connects it
to the store.

One user's requests never open a circuit for others: consecutive failures of the same user count as one, unless the failure is an
unmistakable outage. Answers that cannot be used do not count.

A healthy call does not access the store: circuits are read at most every two seconds, and only failures and the first
success after a failure are written. If the store is unavailable, calls proceed.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal, Protocol
from uuid import UUID

from parley.errors import Unavailable
from parley.llm.errors import ProviderFailed, ProviderMisconfigured, ProviderRejected, UnusableAnswer
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
    """The state of a model.

    `calls` and `failures` count within the window since `window_at`; `in_a_row` counts consecutive failures. `failed_by` is the
    digest of the user whose failure was counted last.
    """

    state: CircuitState = "closed"
    calls: int = 0
    failures: int = 0
    in_a_row: int = 0
    window_at: datetime | None = None
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    failed_by: int | None = None

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

    def failed(self, now: datetime, *, failed_by: int | None, is_outage: bool, is_probe: bool, earlier_successes: int) -> "Circuit":
        """Return the circuit after a failure, preceded by `earlier_successes` that were not counted yet.

        Only the probe's failure opens a half-open circuit again: other calls started before it opened.
        """
        is_repeated = failed_by == self.failed_by and not is_outage
        if self.state == "half_open" and is_probe:
            # The user's request may be at fault if the user's last one failed, too: let the next caller probe at once.
            is_theirs = is_repeated and failed_by is not None
            return replace(self, probe_at=None) if is_theirs else Circuit("open", opened_at=now, failed_by=failed_by)
        if self.state != "closed":
            return self
        counted = self.succeeded(now, successes=earlier_successes) if earlier_successes else self._in_window(now)
        if is_repeated and (counted.failures or counted.in_a_row):
            return counted
        counted = replace(
            counted, calls=counted.calls + 1, failures=counted.failures + 1, in_a_row=counted.in_a_row + 1, failed_by=failed_by
        )
        return Circuit("open", opened_at=now, failed_by=failed_by) if counted._has_failed_too_often() else counted

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
        return Circuit(in_a_row=self.in_a_row, window_at=now, failed_by=self.failed_by) if has_ended else self

    def _has_failed_too_often(self) -> bool:
        return self.in_a_row >= MAX_CONSECUTIVE_FAILURES or (self.calls >= MIN_CALLS and 2 * self.failures >= self.calls)


CIRCUITS_CACHE_S = 2.0

type CircuitChange = Callable[[Circuit, datetime], Circuit | None]


class CircuitStore(Protocol):
    """The shared store of circuits, with one clock for all processes."""

    def read(self) -> tuple[Mapping[str, Circuit], datetime]:
        """Return the circuit of each model that has ever failed, and the store's time. Raises Unavailable."""
        ...

    def change(self, key: str, step: CircuitChange) -> Circuit | None:
        """Apply `step` to a circuit under a lock and return the result. If `step` returns None, nothing changes. Raises Unavailable."""
        ...


class CircuitBreaker:
    """Decides whether a model may be called, and records the results. Each worker has its own; all share one store."""

    def __init__(self, store: CircuitStore, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._store, self._now_s = store, now_s
        self._circuits: dict[str, Circuit] = {}
        self._read_s: float | None = None
        self._read_at: datetime | None = None
        self._successes: dict[str, int] = {}
        self._probing: set[str] = set()

    def admit(self, key: str) -> float:
        """Return zero if the model may be called now, else the number of seconds to wait.

        After an open circuit's cooldown, exactly one process is admitted, as the probe.
        """
        self._refresh()
        circuit = self._circuits.get(key)
        if circuit is None or self._read_at is None or circuit.state == "closed":
            return 0.0
        return circuit.blocked_s(self._read_at) or self._probe(key)

    def failed(self, key: str, error: ProviderFailed, *, user_id: UUID | None) -> None:
        """Record the failure of a user's call. A failure that says nothing about the model's health is not counted.

        A rejected request counts as a success: the vendor works, and the request is at fault.
        """
        if isinstance(error, ProviderRejected):
            self.succeeded(key)
            return
        if isinstance(error, ProviderMisconfigured | UnusableAnswer):
            return
        earlier, is_probe, failed_by = self._successes.pop(key, 0), self._is_probing(key), _digest(user_id) if user_id else None
        step = partial(Circuit.failed, failed_by=failed_by, is_outage=error.is_outage, is_probe=is_probe, earlier_successes=earlier)
        self._change(key, step)

    def succeeded(self, key: str) -> None:
        """Record a successful call."""
        circuit, is_probe = self._circuits.get(key, Circuit()), self._is_probing(key)
        self._successes[key] = self._successes.get(key, 0) + 1
        if circuit.state == "closed" and not circuit.in_a_row:
            return
        successes = self._successes.pop(key)
        self._change(key, lambda circuit, now: circuit.succeeded(now, is_probe=is_probe, successes=successes))

    def released(self, key: str) -> None:
        """If our own probe ended without a result, for example because it was stopped, let the next caller probe the model."""
        if self._is_probing(key):
            self._change(key, lambda circuit, now: circuit.released())  # noqa: ARG005 - the signature of a step

    def _probe(self, key: str) -> float:
        blocked_s: list[float] = [0.0]

        def step(circuit: Circuit, now: datetime) -> Circuit | None:
            blocked_s[0] = circuit.blocked_s(now)
            return circuit.probing(now)

        if self._change(key, step):
            self._probing.add(key)
        return blocked_s[0]

    def _is_probing(self, key: str) -> bool:
        """Return whether the call that just ended was our probe, and forget the probe."""
        is_probing = key in self._probing
        self._probing.discard(key)
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

    def _change(self, key: str, step: CircuitChange) -> bool:
        """Apply `step` to the circuit in the store; return False if the step changes nothing or the store is unavailable."""
        before: list[CircuitState] = []

        def observed(circuit: Circuit, now: datetime) -> Circuit | None:
            before.append(circuit.state)
            return step(circuit, now)

        try:
            changed = self._store.change(key, observed)
        except Unavailable as exc:
            logger.warning("circuit_not_written", circuit=key, reason=str(exc))
            return False
        if changed is None:
            return False
        self._circuits[key] = changed
        if changed.state == "open" and before[-1] != "open":
            logger.warning("circuit_opened", circuit=key, before=before[-1])
        return True


def circuit_key(model: Model) -> str:
    """Return the name of a model's circuit: the provider with its `base_url` or region, and the vendor's name of the model."""
    location = model.base_url or model.region
    return f"{model.provider} {location} {model.name}" if location else f"{model.provider} {model.name}"


def _digest(user_id: UUID) -> int:
    """Return 31 bits that tell users apart and do not name them: circuits belong to no user, and outlive accounts."""
    return int.from_bytes(hashlib.sha256(user_id.bytes).digest()[:4]) >> 1
