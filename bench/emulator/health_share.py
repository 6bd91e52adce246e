"""The emulator's share of `GET /health`: gateway, Runtime API and logs. `python -m bench.emulator.health_share`; Linux only."""

import argparse
import http.client
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness import processes
from bench.harness.aims import Figure, Section
from bench.harness.servers import HOST, Server, ServerFailed
from bench.harness.stack import running_parley, workers
from bench.harness.tables import difference_of, format_figure, median, table

MAX_MS = 2.5
_HANDLER = "functions.health.app.handler"
_WARM_UP = 50
INTRODUCTION = "CPU milliseconds of one `GET /health`, one after the other on one connection: median of the rounds."


def run(*, rounds: int, requests: int = 300) -> Section:
    """Measure and return the table and the figure."""
    with TemporaryDirectory(prefix="parley-bench-") as folder, running_parley(Path(folder)) as server:
        _get(server, _WARM_UP)
        samples = [_measure(server, requests) for _ in range(rounds)]
    own_ms = median([own for own, _ in samples if own is not None])
    function_ms = median([function for _, function in samples if function is not None])
    rows = [["emulator", format_figure(own_ms, digits=2)], ["health function", format_figure(function_ms, digits=2)]]
    text = f"## The emulator's share of a request\n\n{INTRODUCTION}\n\n" + table(["process", "CPU ms"], rows)
    return Section(text, [Figure("emulator's and Runtime API's share of GET /health", own_ms, "ms", at_most=MAX_MS)])


def _measure(server: Server, requests: int) -> tuple[float | None, float | None]:
    """Return the CPU milliseconds per request of the emulator's process, and of the function's workers."""
    pids = ([server.pid], workers(server).get(_HANDLER, []))
    before = [processes.cpu_ms(group) for group in pids]
    _get(server, requests)
    own, function = (difference_of(processes.cpu_ms(group), ms) for group, ms in zip(pids, before, strict=True))
    return (None if own is None else own / requests), (None if function is None else function / requests)


def _get(server: Server, count: int) -> None:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=30)
    for _ in range(count):
        connection.request("GET", "/health")
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise ServerFailed(f"GET /health answered {answer.status}")
    connection.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    print(run(rounds=parser.parse_args().rounds).text)


if __name__ == "__main__":
    main()
