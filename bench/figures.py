"""What was measured of a turn: each server, each way of asking, each round."""

from dataclasses import dataclass, field

from bench.load import Seen
from bench.tables import median, minus, quantile

MANY = 16


@dataclass(frozen=True)
class Way:
    """A way of asking: streamed or whole, by so many clients at once."""

    is_streamed: bool
    clients: int


WAYS = [Way(is_streamed, clients) for clients in (1, MANY) for is_streamed in (True, False)]


@dataclass
class Figures:
    """One server asked in one way; a figure for each round, and the times of all rounds together."""

    p50_ms: list[float] = field(default_factory=list)
    first_token_ms: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    times_ms: list[float] = field(default_factory=list)

    def note(self, seen: Seen, *, cpu_ms: float | None) -> None:
        """Add a round; `cpu_ms` is a request's."""
        self.p50_ms += _present(median(seen.times_ms))
        self.first_token_ms += _present(median(seen.first_token_ms))
        self.per_s += [len(seen.times_ms) / seen.elapsed_s]
        self.cpu_ms += _present(cpu_ms)
        self.times_ms += seen.times_ms

    def p99_ms(self) -> float | None:
        """Return the p99 of all rounds' requests together: one round has too few for it."""
        return quantile(self.times_ms, 0.99)


@dataclass
class Results:
    """All figures. The first server is the one that all others ask; a difference to it is what they add."""

    names: list[str]
    peak_mb: dict[str, float | None] = field(default_factory=dict)
    _figures: dict[tuple[str, Way], Figures] = field(default_factory=dict)

    def of(self, name: str, way: Way) -> Figures:
        """Return a server's figures, empty at first."""
        return self._figures.setdefault((name, way), Figures())

    def added_ms(self, name: str, way: Way) -> float | None:
        """Return what the server adds to the upstream's p50: the median of the rounds' differences."""
        return median([a - b for a, b in zip(self.of(name, way).p50_ms, self.of(self.names[0], way).p50_ms, strict=True)])

    def added_first_token_ms(self, name: str, way: Way) -> float | None:
        """Return what the server adds to the upstream's first token."""
        ours, upstream = self.of(name, way).first_token_ms, self.of(self.names[0], way).first_token_ms
        return median([a - b for a, b in zip(ours, upstream, strict=True)]) if len(ours) == len(upstream) else None

    def added_p99_ms(self, name: str, way: Way) -> float | None:
        """Return what the server adds to the upstream's p99."""
        return minus(self.of(name, way).p99_ms(), self.of(self.names[0], way).p99_ms())

    def per_s(self, name: str, way: Way) -> float | None:
        """Return the median of the rounds' requests a second."""
        return median(self.of(name, way).per_s)


def _present(value: float | None) -> list[float]:
    return [] if value is None else [value]
