"""The tables of `bench.turn`."""

from collections.abc import Callable
from functools import partial

from bench.figures import MANY, Results, Way
from bench.tables import figure, median, over, table, times, verdict

RIVAL, OURS = "LiteLLM", "Parley"
ALONE_STREAMED, ALONE_WHOLE = Way(is_streamed=True, clients=1), Way(is_streamed=False, clients=1)
MANY_STREAMED, MANY_WHOLE = Way(is_streamed=True, clients=MANY), Way(is_streamed=False, clients=MANY)

type Measure = Callable[[str], float | None]

INTRODUCTION = """\
Every server asks the same fake model, which answers 20 tokens without delay; "added" is a server's time minus the
model's own in the same round. Parley's turn is a whole one: gateway, authorizer, function, two transactions, storage;
its gateway and Runtime API are the emulator's, which AWS runs elsewhere, and it has up to ten workers, the others one.
Parley asks the model for a stream even where it answers whole, the others do not. p50 is the median of the rounds'
medians, p99 is of all rounds together. CPU is that of all of a server's processes, a request, without the fake model's."""


def report(results: Results) -> str:
    """Return all tables as Markdown."""
    parts = [
        ("What a warm turn adds", INTRODUCTION),
        ("One client, streamed", _alone(results, ALONE_STREAMED)),
        ("One client, whole", _alone(results, ALONE_WHOLE)),
        (f"{MANY} clients", _many(results)),
        ("Memory", _memory(results)),
        ("Aims", _aims(results)),
    ]
    return "\n\n".join(f"{'##' if number == 0 else '###'} {title}\n\n{body}" for number, (title, body) in enumerate(parts))


def _alone(results: Results, way: Way) -> str:
    head = ["", "p50 ms", "p99 ms", "added p50", "× LiteLLM", "added p99", "CPU ms"]
    head += ["first token ms", "added", "× LiteLLM"] if way.is_streamed else []
    return table(head, [_alone_row(results, way, name) for name in results.names])


def _alone_row(results: Results, way: Way, name: str) -> list[str]:
    found = results.of(name, way)
    row = [name, figure(median(found.p50_ms), digits=2), figure(found.p99_ms())]
    row += _beside(results, name, partial(results.added_ms, way=way))
    row += [figure(results.added_p99_ms(name, way)) if name != results.names[0] else ""]
    row += [figure(median(found.cpu_ms), digits=2)]
    if not way.is_streamed:
        return row
    first_token = partial(results.added_first_token_ms, way=way)
    return [*row, figure(median(found.first_token_ms), digits=2), *_beside(results, name, first_token)]


def _beside(results: Results, name: str, measure: Measure) -> list[str]:
    """Return a figure and its ratio to LiteLLM's; the model itself adds nothing."""
    if name == results.names[0]:
        return ["", ""]
    return [figure(measure(name), digits=2), times(over(measure(name), _rival(results, measure)))]


def _many(results: Results) -> str:
    head = ["", "streams/s", "× LiteLLM", "p50 ms", "p99 ms", "CPU ms", "whole/s", "× LiteLLM", "p50 ms", "p99 ms", "CPU ms"]
    rows = [[name, *_many_cells(results, name, MANY_STREAMED), *_many_cells(results, name, MANY_WHOLE)] for name in results.names]
    return table(head, rows)


def _many_cells(results: Results, name: str, way: Way) -> list[str]:
    found, per_s = results.of(name, way), partial(results.per_s, way=way)
    ratio = times(over(per_s(name), _rival(results, per_s))) if name != results.names[0] else ""
    return [figure(per_s(name)), ratio, figure(median(found.p50_ms)), figure(found.p99_ms()), figure(median(found.cpu_ms), digits=2)]


def _memory(results: Results) -> str:
    rows = [[f"{name}, a chat worker" if name == OURS else name, figure(results.peak_mb.get(name))] for name in results.names]
    return table(["", "peak MB"], rows)


def _aims(results: Results) -> str:
    """Return the aims as columns: what was aimed at, what was measured."""
    rows = [
        _aim("added p50, streamed", _ratio(results, partial(results.added_ms, way=ALONE_STREAMED)), at_most=0.5),
        _aim("added p50, whole", _ratio(results, partial(results.added_ms, way=ALONE_WHOLE)), at_most=0.5),
        _aim("added first token", _ratio(results, partial(results.added_first_token_ms, way=ALONE_STREAMED)), at_most=0.5),
        _aim(f"streams a second at {MANY}", _ratio(results, partial(results.per_s, way=MANY_STREAMED)), at_least=3),
        _aim(f"whole answers a second at {MANY}", _ratio(results, partial(results.per_s, way=MANY_WHOLE)), at_least=3),
    ]
    memory = results.peak_mb.get(OURS)
    rows.append(["memory of a chat worker", "≤ 110 MB", figure(memory), verdict(memory, at_most=110)])
    return table(["Parley beside LiteLLM", "aim", "measured", ""], rows)


def _aim(what: str, value: float | None, *, at_most: float | None = None, at_least: float | None = None) -> list[str]:
    aim = f"≤ {at_most}×" if at_most is not None else f"≥ {at_least}×"
    return [what, aim, times(value), verdict(value, at_most=at_most, at_least=at_least)]


def _ratio(results: Results, measure: Measure) -> float | None:
    return over(measure(OURS), _rival(results, measure))


def _rival(results: Results, measure: Measure) -> float | None:
    return measure(RIVAL) if RIVAL in results.names else None
