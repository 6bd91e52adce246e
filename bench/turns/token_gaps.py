"""Streams of a model that pauses 20 ms before each token, beside the model itself: `python -m bench.turns.token_gaps`."""

import argparse
import asyncio
import json
import re
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness import processes
from bench.harness.aims import Figure, Section
from bench.harness.fake_model import PAUSE_S
from bench.harness.load import Request
from bench.harness.servers import ServerFailed
from bench.harness.stack import Users, running_parley
from bench.harness.tables import difference_of, format_figure, quantile, table
from bench.turns import targets

INTRODUCTION = """\
A model that sends 20 tokens with a pause of 20 ms before each, called directly and through Parley, by one client and by 64 at
once (16 users, a worker for each stream). A gap is the time between two tokens' arrivals; a stall is a gap over 200 ms; a lost
token is one that never arrived."""

STREAMS = 64
USERS = 16
TOKENS = 20
STALL_MS = 200.0
_TOKEN = re.compile(rb"tok(\d+)\b")
_LIMIT_S = 120.0


@dataclass
class Gaps:
    """The gaps between tokens of all streams in milliseconds, and the tokens that never arrived."""

    times_ms: list[float] = field(default_factory=list)
    lost: int = 0

    @property
    def p99_ms(self) -> float | None:
        return quantile(self.times_ms, 0.99)

    @property
    def stalls(self) -> int:
        return sum(gap > STALL_MS for gap in self.times_ms)

    def add_stream(self, arrivals_s: Sequence[float]) -> None:
        """Add a stream, given the arrival times of its distinct tokens."""
        self.lost += TOKENS - len(arrivals_s)
        self.times_ms += [(later - earlier) * 1000 for earlier, later in pairwise(arrivals_s)]


def run(*, rounds: int) -> Section:
    """Measure and return the table and figures."""
    with TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        with (
            targets.upstream(folder) as fake,
            running_parley(folder, upstream=f"{fake.server.url}/v1", workers=STREAMS + USERS) as server,
        ):
            body = json.dumps({"message": "hello", "model": "paced"})
            ours = Request(f"{server.url}/chat", body, Users(server, USERS).tokens())
            model = Request(f"{fake.server.url}/v1/chat/completions", json.dumps({"model": "paced", "stream": True}))
            _measure(ours, streams=STREAMS, rounds=1)  # starts a worker for each stream
            alone = {"the model": _measure(model, streams=1, rounds=rounds), "Parley": _measure(ours, streams=1, rounds=rounds)}
            many = {"the model": _measure(model, streams=STREAMS, rounds=1)}
            before_ms = processes.cpu_ms(pids := processes.tree(server.pid))
            many["Parley"] = _measure(ours, streams=STREAMS, rounds=1)
            cpu_ms = difference_of(processes.cpu_ms(pids), before_ms)
    return Section(f"## A paced model\n\n{INTRODUCTION}\n\n{_table(alone, many)}", _figures(alone, many, cpu_ms=cpu_ms))


def _figures(alone: dict[str, Gaps], many: dict[str, Gaps], *, cpu_ms: float | None) -> list[Figure]:
    reason = (
        f"The {STREAMS} turns, which begin and end together, took {format_figure(cpu_ms, digits=0)} ms of processor time, and the model "
        f"paces each for {TOKENS * PAUSE_S['paced'] * 1000:.0f} ms: whatever the cores cannot do in that time is a wait of some stream."
    )
    added = difference_of(alone["Parley"].p99_ms, alone["the model"].p99_ms)
    return [
        Figure("added gap between tokens at a model paced at 20 ms, p99", added, "ms", at_most=3),
        Figure(f"lost tokens with {STREAMS} streams", many["Parley"].lost, "", at_most=0),
        Figure(f"stalls over {STALL_MS:.0f} ms with {STREAMS} streams", many["Parley"].stalls, "", at_most=0, reason=reason),
    ]


def _table(alone: dict[str, Gaps], many: dict[str, Gaps]) -> str:
    rows = []
    for label, by_server in (("1 stream", alone), (f"{STREAMS} streams", many)):
        for server, gaps in by_server.items():
            quantiles = [format_figure(quantile(gaps.times_ms, share)) for share in (0.5, 0.99, 1.0)]
            rows.append([f"{label}, {server}", *quantiles, str(gaps.lost), str(gaps.stalls)])
    return table(["gaps", "p50 ms", "p99 ms", "max ms", "lost tokens", "stalls"], rows)


def _measure(request: Request, *, streams: int, rounds: int) -> Gaps:
    gaps = Gaps()
    for _ in range(rounds):
        for arrivals_s in asyncio.run(_read_streams(request, streams)):
            gaps.add_stream(arrivals_s)
    return gaps


async def _read_streams(request: Request, streams: int) -> list[list[float]]:
    async with asyncio.timeout(_LIMIT_S):
        return await asyncio.gather(*(_read_stream(request, number) for number in range(streams)))


async def _read_stream(request: Request, client: int) -> list[float]:
    """Return the arrival times of the stream's distinct tokens, in seconds."""
    parts = urllib.parse.urlsplit(request.url)
    reader, writer = await asyncio.open_connection(*request.address)
    writer.write(request.encoded(client).replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
    if b" 200 " not in (status := await reader.readline()):
        raise ServerFailed(f"{parts.path}: {status.decode(errors='replace')}{(await reader.read(2000)).decode(errors='replace')}")
    arrivals_s: dict[bytes, float] = {}
    while line := await reader.readline():
        if line.startswith(b"data:"):
            for token in _TOKEN.findall(line):
                arrivals_s.setdefault(token, time.perf_counter())
        if line.startswith((b"event: turn.completed", b"data: [DONE]")):
            break
    writer.close()
    return list(arrivals_s.values())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    print(run(rounds=parser.parse_args().rounds).text)


if __name__ == "__main__":
    main()
