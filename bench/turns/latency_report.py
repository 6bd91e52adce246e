"""The results of `bench.turns.latency` by server, request mode and round, and their tables."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from bench.harness.aims import Figure
from bench.harness.load import LoadResult
from bench.harness.tables import difference_of, format_figure, format_ratio, mean, median, quantile, ratio_of, table

MANY_CLIENTS = 16
RIVAL = "LiteLLM"
SECOND_RIVAL = "Portkey"
OURS = "Parley"
type Measure = Callable[[str], float | None]

INTRODUCTION = """\
Every server calls the same fake model, which sends 20 tokens without delay; "added" is the server's time minus the model's
time in the same round. Parley runs complete turns: gateway, authorizer, function, two transactions, storage. Its gateway and
Runtime API are the emulator's, which AWS runs on other machines. Parley has up to ten workers, the other servers have one.
Parley always requests a stream from the model, the others only for streamed responses. p50 is the mean of the rounds'
medians, p99 is over all rounds. CPU is per request, for all processes of a server, without the fake model."""


# The reason why an aim beside another proxy may be out of reach.
STORES_NOTHING = (
    "The other proxy stores nothing and checks no one: it forwards the request. Parley's turn is two transactions on disk, a search of "
    "the memory, the gateway, the authorizer and the Runtime API of the emulator, and a title, all on the same two cores. The cost of a "
    "turn says where each millisecond goes; on AWS the gateway, the runtime and the database have other processors."
)


@dataclass(frozen=True)
class RequestMode:
    """A kind of load: streamed or whole responses, for a number of concurrent clients."""

    is_streamed: bool
    clients: int


REQUEST_MODES = [RequestMode(is_streamed, clients) for clients in (1, MANY_CLIENTS) for is_streamed in (True, False)]


@dataclass
class ModeFigures:
    """The figures of one server in one request mode: one per round, and the times of all rounds together."""

    p50_ms: list[float] = field(default_factory=list)
    first_token_ms: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    times_ms: list[float] = field(default_factory=list)

    def add_round(self, load: LoadResult, *, cpu_ms: float | None) -> None:
        """Add a round; `cpu_ms` is per request."""
        self.p50_ms += _present(median(load.times_ms))
        self.first_token_ms += _present(median(load.first_token_ms))
        self.per_s += [len(load.times_ms) / load.elapsed_s]
        self.cpu_ms += _present(cpu_ms)
        self.times_ms += load.times_ms

    def p99_ms(self) -> float | None:
        """Return the p99 over all rounds, because one round has too few requests."""
        return quantile(self.times_ms, 0.99)


@dataclass
class LatencyResults:
    """The figures of all servers. The first server is the upstream of the others; they add latency to its figures."""

    names: list[str]
    peak_mb: dict[str, float | None] = field(default_factory=dict)
    _figures: dict[tuple[str, RequestMode], ModeFigures] = field(default_factory=dict)

    def of(self, name: str, mode: RequestMode) -> ModeFigures:
        """Return the figures of a server and a mode, created empty if missing."""
        return self._figures.setdefault((name, mode), ModeFigures())

    def added_ms(self, name: str, mode: RequestMode) -> float | None:
        """Return the latency added to the upstream's p50: the mean of the rounds' differences."""
        return mean([a - b for a, b in zip(self.of(name, mode).p50_ms, self.of(self.names[0], mode).p50_ms, strict=True)])

    def added_first_token_ms(self, name: str, mode: RequestMode) -> float | None:
        """Return the latency added to the upstream's time to first token."""
        ours, upstream = self.of(name, mode).first_token_ms, self.of(self.names[0], mode).first_token_ms
        return mean([a - b for a, b in zip(ours, upstream, strict=True)]) if len(ours) == len(upstream) else None

    def added_p99_ms(self, name: str, mode: RequestMode) -> float | None:
        """Return the latency added to the upstream's p99."""
        return difference_of(self.of(name, mode).p99_ms(), self.of(self.names[0], mode).p99_ms())

    def per_s(self, name: str, mode: RequestMode) -> float | None:
        """Return the mean of the rounds' requests per second."""
        return mean(self.of(name, mode).per_s)


def _present(value: float | None) -> list[float]:
    return [] if value is None else [value]


ALONE_STREAMED, ALONE_WHOLE = RequestMode(is_streamed=True, clients=1), RequestMode(is_streamed=False, clients=1)
MANY_STREAMED, MANY_WHOLE = RequestMode(is_streamed=True, clients=MANY_CLIENTS), RequestMode(is_streamed=False, clients=MANY_CLIENTS)


def report(results: LatencyResults) -> str:
    """Return all tables as Markdown."""
    parts = [
        ("Added latency of a warm turn", INTRODUCTION),
        ("One client, streamed", _single_client_table(results, ALONE_STREAMED)),
        ("One client, whole", _single_client_table(results, ALONE_WHOLE)),
        (f"{MANY_CLIENTS} clients", _many_clients_table(results)),
        ("Memory", _memory_table(results)),
    ]
    return "\n\n".join(f"{'##' if number == 0 else '###'} {title}\n\n{body}" for number, (title, body) in enumerate(parts))


def _single_client_table(results: LatencyResults, mode: RequestMode) -> str:
    head = ["", "p50 ms", "p99 ms", "added p50", "× LiteLLM", "added p99", "CPU ms"]
    head += ["first token ms", "added", "× LiteLLM"] if mode.is_streamed else []
    return table(head, [_single_client_row(results, mode, name) for name in results.names])


def _single_client_row(results: LatencyResults, mode: RequestMode, name: str) -> list[str]:
    figures = results.of(name, mode)
    row = [name, format_figure(mean(figures.p50_ms), digits=2), format_figure(figures.p99_ms())]
    row += _ratio_cells(results, name, partial(results.added_ms, mode=mode))
    row += [format_figure(results.added_p99_ms(name, mode)) if name != results.names[0] else ""]
    row += [format_figure(mean(figures.cpu_ms), digits=2)]
    if not mode.is_streamed:
        return row
    first_token = partial(results.added_first_token_ms, mode=mode)
    return [*row, format_figure(mean(figures.first_token_ms), digits=2), *_ratio_cells(results, name, first_token)]


def _ratio_cells(results: LatencyResults, name: str, measure: Measure) -> list[str]:
    """Return a figure and its ratio to LiteLLM's; empty cells for the upstream, which adds nothing."""
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
    figures = results.of(name, mode)
    per_s = partial(results.per_s, mode=mode)
    ratio = format_ratio(ratio_of(per_s(name), _rival(results, per_s))) if name != results.names[0] else ""
    return [
        format_figure(per_s(name)),
        ratio,
        format_figure(mean(figures.p50_ms)),
        format_figure(figures.p99_ms()),
        format_figure(mean(figures.cpu_ms), digits=2),
    ]


def _memory_table(results: LatencyResults) -> str:
    rows = [[f"{name}, a chat worker" if name == OURS else name, format_figure(results.peak_mb.get(name))] for name in results.names]
    return table(["", "peak MB"], rows)


def figures(results: LatencyResults) -> list[Figure]:
    """Return the figures that have aims, relative to LiteLLM in the same run."""
    first_token = _ratio(results, partial(results.added_first_token_ms, mode=ALONE_STREAMED))
    many = f"{MANY_CLIENTS} warm clients, beside LiteLLM"
    whole = _ratio(results, partial(results.added_ms, mode=ALONE_WHOLE))
    whole_per_s, streams_per_s = (_ratio(results, partial(results.per_s, mode=mode)) for mode in (MANY_WHOLE, MANY_STREAMED))
    return [
        Figure("added p50 of a whole turn, beside LiteLLM", whole, "×", at_most=0.5, reason=STORES_NOTHING),
        Figure("added p50 of a first token, beside LiteLLM", first_token, "×", at_most=0.4, reason=STORES_NOTHING),
        Figure(f"whole turns a second, {many}", whole_per_s, "×", at_least=2.5, reason=STORES_NOTHING),
        Figure(f"streams a second, {many}", streams_per_s, "×", at_least=2.5, reason=STORES_NOTHING),
        *_figures_beside_portkey(results),
    ]


def _figures_beside_portkey(results: LatencyResults) -> list[Figure]:
    """Return the figures beside the gateway that does the least; only the whole turn has an aim."""
    first_token = _ratio(results, partial(results.added_first_token_ms, mode=ALONE_STREAMED), rival=SECOND_RIVAL)
    per_s = _ratio(results, partial(results.per_s, mode=MANY_STREAMED), rival=SECOND_RIVAL)
    whole = _ratio(results, partial(results.added_ms, mode=ALONE_WHOLE), rival=SECOND_RIVAL)
    return [
        Figure("added p50 of a whole turn, beside Portkey", whole, "×", at_most=2, reason=STORES_NOTHING),
        Figure("added p50 of a first token, beside Portkey", first_token, "×"),
        Figure(f"streams a second, {MANY_CLIENTS} warm clients, beside Portkey", per_s, "×"),
    ]


def _ratio(results: LatencyResults, measure: Measure, *, rival: str = RIVAL) -> float | None:
    return ratio_of(measure(OURS), _rival(results, measure, rival))


def _rival(results: LatencyResults, measure: Measure, rival: str = RIVAL) -> float | None:
    return measure(rival) if rival in results.names else None
