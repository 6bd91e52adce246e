"""Circuit breaker state in memory, with a clock that tests advance."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from parley.llm.circuit_breaker import Circuit, CircuitChange


@dataclass
class MemoryCircuits:
    """Stores circuits as the database does, and counts reads and changes."""

    circuits: dict[str, Circuit] = field(default_factory=dict)
    now: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)
    reads: int = 0
    changes: int = 0

    def read(self) -> tuple[dict[str, Circuit], datetime]:
        self.reads += 1
        return dict(self.circuits), self.now

    def change(self, provider: str, step: CircuitChange) -> Circuit | None:
        self.changes += 1
        changed = step(self.circuits.get(provider, Circuit()), self.now)
        if changed is not None:
            self.circuits[provider] = changed
        return changed

    def pass_s(self, seconds: float) -> None:
        """Advance the clock."""
        self.now += timedelta(seconds=seconds)
