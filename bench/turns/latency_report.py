"""The results of `bench.turns.latency` by server, request mode and round, and their tables."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from bench.harness.load import LoadResult
from bench.harness.tables import difference_of, format_figure, format_ratio, median, quantile, ratio_of, table, verdict

MANY_CLIENTS = 16
RIVAL, OURS = "LiteLLM", "Parley"
type Measure = Callable[[str], float | None]

INTRODUCTION = """\
Every server asks the same fake model, which answers 20 tokens without delay; "added" is a server's time minus the
model's own in the same round. Parley's turn is a whole one: gateway, authorizer, function, two transactions, storage;
its gateway and Runtime API are the emulator's, which AWS runs elsewhere, and it has up to ten workers, the others one.
Parley asks the model for a stream even where it answers whole, the others do not. p50 is the median of the rounds'
medians, p99 is of all rounds together. CPU is that of all of a server's processes, a request, without the fake model's."""


@dataclass(frozen=True)
class RequestMode:
    """A way of asking: streamed or whole, by so many clients at once."""

    is_streamed: bool
    clients: int


REQUEST_MODES = [RequestMode(is_streamed, clients) for clients in (1, MANY_CLIENTS) for is_streamed in (True, False)]


@dataclass
class ModeFigures:
    """One server asked in one way; a figure for each round, and the times of all rounds together."""

    p50_ms: list[float] = field(default_factory=list)
    first_token_ms: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    times_ms: list[float] = field(default_factory=list)

    def add_round(self, seen: LoadResult, *, cpu_ms: float | None) -> None:
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
class LatencyResults:
    """All figures. The first server is the one that all others ask; a difference to it is what they add."""

    names: list[str]
    peak_mb: dict[str, float | None] = field(default_factory=dict)
    _figures: dict[tuple[str, RequestMode], ModeFigures] = field(default_factory=dict)

    def of(self, name: str, mode: RequestMode) -> ModeFigures:
        """Return a server's figures, empty at first."""
        return self._figures.setdefault((name, mode), ModeFigures())

    def added_ms(self, name: str, mode: RequestMode) -> float | None:
        """Return what the server adds to the upstream's p50: the median of the rounds' differences."""
        return median([a - b for a, b in zip(self.of(name, mode).p50_ms, self.of(self.names[0], mode).p50_ms, strict=True)])

    def added_first_token_ms(self, name: str, mode: RequestMode) -> float | None:
        """Return what the server adds to the upstream's first token."""
        ours, upstream = self.of(name, mode).first_token_ms, self.of(self.names[0], mode).first_token_ms
        return median([a - b for a, b in zip(ours, upstream, strict=True)]) if len(ours) == len(upstream) else None

    def added_p99_ms(self, name: str, mode: RequestMode) -> float | None:
        """Return what the server adds to the upstream's p99."""
        return difference_of(self.of(name, mode).p99_ms(), self.of(self.names[0], mode).p99_ms())

    def per_s(self, name: str, mode: RequestMode) -> float | None:
        """Return the median of the rounds' requests a second."""
        return median(self.of(name, mode).per_s)


def _present(value: float | None) -> list[float]:
    return [] if value is None else [value]


ALONE_STREAMED, ALONE_WHOLE = RequestMode(is_streamed=True, clients=1), RequestMode(is_streamed=False, clients=1)
MANY_STREAMED, MANY_WHOLE = RequestMode(is_streamed=True, clients=MANY_CLIENTS), RequestMode(is_streamed=False, clients=MANY_CLIENTS)


def report(results: LatencyResults) -> str:
    """Return all tables as Markdown."""
    parts = [
        ("What a warm turn adds", INTRODUCTION),
        ("One client, streamed", _single_client_table(results, ALONE_STREAMED)),
        ("One client, whole", _single_client_table(results, ALONE_WHOLE)),
        (f"{MANY_CLIENTS} clients", _many_clients_table(results)),
        ("Memory", _memory_table(results)),
        ("Aims", _aims_table(results)),
    ]
    return "\n\n".join(f"{'##' if number == 0 else '###'} {title}\n\n{body}" for number, (title, body) in enumerate(parts))


def _single_client_table(results: LatencyResults, mode: RequestMode) -> str:
    head = ["", "p50 ms", "p99 ms", "added p50", "× LiteLLM", "added p99", "CPU ms"]
    head += ["first token ms", "added", "× LiteLLM"] if mode.is_streamed else []
    return table(head, [_single_client_row(results, mode, name) for name in results.names])


def _single_client_row(results: LatencyResults, mode: RequestMode, name: str) -> list[str]:
    found = results.of(name, mode)
    row = [name, format_figure(median(found.p50_ms), digits=2), format_figure(found.p99_ms())]
    row += _ratio_cells(results, name, partial(results.added_ms, mode=mode))
    row += [format_figure(results.added_p99_ms(name, mode)) if name != results.names[0] else ""]
    row += [format_figure(median(found.cpu_ms), digits=2)]
    if not mode.is_streamed:
        return row
    first_token = partial(results.added_first_token_ms, mode=mode)
    return [*row, format_figure(median(found.first_token_ms), digits=2), *_ratio_cells(results, name, first_token)]


def _ratio_cells(results: LatencyResults, name: str, measure: Measure) -> list[str]:
    """Return a figure and its ratio to LiteLLM's; the model itself adds nothing."""
    if name == results.names[0]:
        return ["", ""]
    return [format_figure(measure(name), digits=2), format_ratio(ratio_of(measure(name), _rival(results, measure)))]


def _many_clients_table(results: LatencyResults) -> str:
    head = ["", "streams/s", "× LiteLLM", "p50 ms", "p99 ms", "CPU ms", "whole/s", "× LiteLLM", "p50 ms", "p99 ms", "CPU ms"]
    rows = [
        [name, *_many_clients_cells(results, name, MANY_STREAMED), *_many_clients_cells(results, name, MANY_WHOLE)]
        for name in results.names
    ]
    return table(head, rows)


def _many_clients_cells(results: LatencyResults, name: str, mode: RequestMode) -> list[str]:
    found, per_s = results.of(name, mode), partial(results.per_s, mode=mode)
    ratio = format_ratio(ratio_of(per_s(name), _rival(results, per_s))) if name != results.names[0] else ""
    return [
        format_figure(per_s(name)),
        ratio,
        format_figure(median(found.p50_ms)),
        format_figure(found.p99_ms()),
        format_figure(median(found.cpu_ms), digits=2),
    ]


def _memory_table(results: LatencyResults) -> str:
    rows = [[f"{name}, a chat worker" if name == OURS else name, format_figure(results.peak_mb.get(name))] for name in results.names]
    return table(["", "peak MB"], rows)


def _aims_table(results: LatencyResults) -> str:
    """Return the aims as columns: what was aimed at, what was measured."""
    rows = [
        _aim_row("added p50, streamed", _ratio(results, partial(results.added_ms, mode=ALONE_STREAMED)), at_most=0.5),
        _aim_row("added p50, whole", _ratio(results, partial(results.added_ms, mode=ALONE_WHOLE)), at_most=0.5),
        _aim_row("added first token", _ratio(results, partial(results.added_first_token_ms, mode=ALONE_STREAMED)), at_most=0.5),
        _aim_row(f"streams a second at {MANY_CLIENTS}", _ratio(results, partial(results.per_s, mode=MANY_STREAMED)), at_least=3),
        _aim_row(f"whole answers a second at {MANY_CLIENTS}", _ratio(results, partial(results.per_s, mode=MANY_WHOLE)), at_least=3),
    ]
    memory = results.peak_mb.get(OURS)
    rows.append(["memory of a chat worker", "≤ 110 MB", format_figure(memory), verdict(memory, at_most=110)])
    return table(["Parley beside LiteLLM", "aim", "measured", ""], rows)


def _aim_row(what: str, value: float | None, *, at_most: float | None = None, at_least: float | None = None) -> list[str]:
    aim = f"≤ {at_most}×" if at_most is not None else f"≥ {at_least}×"
    return [what, aim, format_ratio(value), verdict(value, at_most=at_most, at_least=at_least)]


def _ratio(results: LatencyResults, measure: Measure) -> float | None:
    return ratio_of(measure(OURS), _rival(results, measure))


def _rival(results: LatencyResults, measure: Measure) -> float | None:
    return measure(RIVAL) if RIVAL in results.names else None
