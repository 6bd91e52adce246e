"""The circuit breaker of each provider, shared by all processes through a store.

A healthy call costs the store nothing: circuits are read again after two seconds at the earliest, failures are written,
and of the successes only the first after a failure. A store that does not answer stops no call.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from parley.errors import Unavailable
from parley.llm.circuit import Circuit
from parley.llm.model import Model
from parley.observability import logger

KEPT_S = 2.0

type Step = Callable[[Circuit, datetime], Circuit | None]


class CircuitStore(Protocol):
    """Where the circuits are, with one clock for everybody."""

    def read(self) -> tuple[Mapping[str, Circuit], datetime]:
        """Return all circuits that have ever failed, and the time. Raises Unavailable."""
        ...

    def change(self, provider: str, step: Step) -> Circuit | None:
        """Let `step` change one circuit while nobody else can; None from it changes nothing. Raises Unavailable."""
        ...


class Breaker:
    """Tells who may be called, and learns how it went."""

    def __init__(self, store: CircuitStore, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._store, self._now_s = store, now_s
        self._circuits: dict[str, Circuit] = {}
        self._read_s: float | None = None
        self._read_at: datetime | None = None
        self._successes: dict[str, int] = {}
        self._probing: set[str] = set()

    def admit(self, provider: str) -> float:
        """Return zero if the provider may be called now, else after how many seconds to ask again.

        Of all processes, one is let through to probe a provider whose time to cool down is over.
        """
        self._refresh()
        circuit = self._circuits.get(provider)
        if circuit is None or self._read_at is None or circuit.state == "closed":
            return 0.0
        return circuit.shut_s(self._read_at) or self._probe(provider)

    def failed(self, provider: str) -> None:
        """Note a failed call."""
        earlier, is_probe = self._successes.pop(provider, 0), self._is_probing(provider)
        self._change(provider, lambda circuit, now: circuit.failed(now, is_probe=is_probe, earlier_successes=earlier))

    def succeeded(self, provider: str) -> None:
        """Note that the provider answered."""
        circuit, is_probe = self._circuits.get(provider, Circuit()), self._is_probing(provider)
        self._successes[provider] = self._successes.get(provider, 0) + 1
        if circuit.state == "closed" and not circuit.in_a_row:
            return
        successes = self._successes.pop(provider)
        self._change(provider, lambda circuit, now: circuit.succeeded(now, is_probe=is_probe, successes=successes))

    def released(self, provider: str) -> None:
        """Let the next caller probe the provider, if a probe of ours has ended without telling anything: it was stopped, say."""
        if self._is_probing(provider):
            self._change(provider, lambda circuit, now: circuit.released())  # noqa: ARG005 - a step

    def _probe(self, provider: str) -> float:
        seen: list[float] = [0.0]

        def step(circuit: Circuit, now: datetime) -> Circuit | None:
            seen[0] = circuit.shut_s(now)
            return circuit.probing(now)

        if self._change(provider, step):
            self._probing.add(provider)
        return seen[0]

    def _is_probing(self, provider: str) -> bool:
        """Whether the call that has ended was the probe."""
        is_probing = provider in self._probing
        self._probing.discard(provider)
        return is_probing

    def _refresh(self) -> None:
        now_s = self._now_s()
        if self._read_s is not None and now_s - self._read_s < KEPT_S:
            return
        self._read_s = now_s
        try:
            circuits, self._read_at = self._store.read()
            self._circuits = dict(circuits)
        except Unavailable as exc:
            logger.warning("the circuits of the providers cannot be read", reason=str(exc))

    def _change(self, provider: str, step: Step) -> bool:
        """Change the circuit; False if that was not called for or not possible."""
        try:
            changed = self._store.change(provider, step)
        except Unavailable as exc:
            logger.warning("the circuit of a provider cannot be written", provider=provider, reason=str(exc))
            return False
        if changed is None:
            return False
        self._circuits[provider] = changed
        if changed.state == "open":
            logger.warning("a provider's circuit is open", provider=provider)
        return True


def provider_key(model: Model) -> str:
    """Return what shares a circuit: the provider, and which server of it."""
    place = model.base_url or model.region
    return f"{model.provider} {place}" if place else model.provider
