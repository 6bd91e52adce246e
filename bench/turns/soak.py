"""Growth of the stack over many turns: `python -m bench.turns.soak`, or `make soak`. Linux only: reads /proc.

Writes `bench/results/soak.md` and exits with 1 if something grows.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from bench.harness import machine, processes
from bench.harness.aims import Section
from bench.harness.servers import Server, call
from bench.harness.stack import CHAT_HANDLER, ChatClient, Users, running_parley, workers
from bench.harness.tables import format_figure, table, verdict
from bench.turns import targets
from local.services.database import DATABASE_NAME
from local.services.postgres import SUPERUSER

INTRODUCTION = """\
Sequential turns of one client, with a new conversation every ten turns. The slopes (least squares) are those of the second half of
the run. Before each measurement but the first, the events of ended turns are made a day older and the sweep runs, as it does
once a day: so the log of events and the tables whose number of rows does not depend on the number of turns must not grow."""

RESULTS = Path(__file__).parents[1] / "results" / "soak.md"
_STEPS = 20
_TURNS_PER_CONVERSATION = 10
# In a shorter run, processes still import modules and tables are not yet vacuumed, so only the memory of the chat worker is judged.
_JUDGED_TURNS = 5000
_SWEEP_LIMIT_S = 600.0
_MB = 1024 * 1024
# Their rows are changed or deleted by every turn, and their number stays the same.
_CONSTANT_TABLES = ("budgets", "budget_reservations", "rate_limits", "stream_leases", "breakers", "outbox")
_AGE_EVENTS = """
UPDATE turn_events e SET at = e.at - interval '26 hours'
  FROM turns t WHERE t.user_id = e.user_id AND t.id = e.turn_id AND t.status <> 'running' AND e.at > now() - interval '25 hours'
"""


@dataclass(frozen=True)
class Probe:
    """The parts of a running stack that are measured. `sizes` maps tables to their bytes, with indexes."""

    server: Server
    data: Path
    sizes: dict[str, int]

    @property
    def chat_workers(self) -> list[int]:
        return workers(self.server).get(CHAT_HANDLER, [])

    @property
    def processes(self) -> list[int]:
        """The emulator and all workers."""
        return [self.server.pid, *(pid for pids in workers(self.server).values() for pid in pids)]


@dataclass(frozen=True)
class Quantity:
    """A quantity, with the most by which it may grow in 1,000 turns."""

    name: str
    max_per_1000: float
    measure: Callable[[Probe], float | None]


def _largest(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


QUANTITIES = (
    Quantity("chat worker, MB", 2.0, lambda probe: _largest([processes.resident_mb(pid) for pid in probe.chat_workers])),
    Quantity("emulator, MB", 2.0, lambda probe: processes.resident_mb(probe.server.pid)),
    Quantity("largest process, MB", 2.0, lambda probe: _largest([processes.resident_mb(pid) for pid in probe.processes])),
    Quantity("most descriptors", 0.5, lambda probe: _largest([processes.open_files(pid) for pid in probe.processes])),
    Quantity("most threads", 0.5, lambda probe: _largest([processes.threads(pid) for pid in probe.processes])),
    Quantity("event log, MB", 0.5, lambda probe: probe.sizes["turn_events"] / _MB),
    Quantity("constant tables, MB", 0.2, lambda probe: sum(probe.sizes[name] for name in _CONSTANT_TABLES) / _MB),
    Quantity("queues, MB", 0.2, lambda probe: sum(path.stat().st_size for path in (probe.data / "queues").iterdir()) / _MB),
)


@dataclass(frozen=True)
class Growth:
    """The measured values of a quantity by number of turns."""

    quantity: Quantity
    points: Sequence[tuple[float, float]]

    @property
    def per_1000(self) -> float | None:
        """The slope in the second half of the run, per 1,000 turns."""
        per_turn = slope([(turn, value) for turn, value in self.points if turn * 2 >= self.points[-1][0]]) if self.points else None
        return None if per_turn is None else per_turn * 1000

    @property
    def is_flat(self) -> bool:
        return self.per_1000 is not None and self.per_1000 <= self.quantity.max_per_1000


def run(*, turns: int) -> Section:
    """Measure and return the table."""
    return section(measured(turns), turns)


def measured(turns: int) -> list[Growth]:
    """Take the turns and return the growth of each quantity."""
    with TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        with targets.upstream(folder) as fake, running_parley(folder, upstream=f"{fake.server.url}/v1") as server:
            points = _take_turns(server, folder / "data", turns)
    values = {
        quantity.name: [(turn, value) for turn, found in points if (value := found[quantity.name]) is not None] for quantity in QUANTITIES
    }
    return [Growth(quantity, values[quantity.name]) for quantity in QUANTITIES]


def judged(growths: Sequence[Growth], turns: int) -> list[Growth]:
    """Return the growths that the run was long enough to judge."""
    return list(growths if turns >= _JUDGED_TURNS else growths[:1])


def section(growths: Sequence[Growth], turns: int) -> Section:
    """Return the table: a row for each measurement, then the slopes and whether they reach their aims."""
    counts = sorted({turn for growth in growths for turn, _ in growth.points})
    rows = [[f"{turn:.0f}", *(format_figure(dict(growth.points).get(turn)) for growth in growths)] for turn in counts]
    rows.append(["slope per 1,000 turns", *(format_figure(growth.per_1000, digits=2) for growth in growths)])
    rows.append(["aim", *(f"≤ {growth.quantity.max_per_1000:g}" for growth in growths)])
    is_judged = judged(growths, turns)
    rows.append(
        ["", *(verdict(each.per_1000, at_most=each.quantity.max_per_1000) if each in is_judged else "too short" for each in growths)]
    )
    head = ["after turns", *(growth.quantity.name for growth in growths)]
    return Section(f"## Growth over {turns} turns\n\n{INTRODUCTION}\n\n" + table(head, rows))


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Return the slope of the least-squares line through the points, or None for fewer than two points."""
    if len(points) < 2:
        return None
    mean_x, mean_y = sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) * (x - mean_x) for x, _ in points)


def _take_turns(server: Server, data: Path, turns: int) -> list[tuple[int, dict[str, float | None]]]:
    users = Users(server, 1)
    points: list[tuple[int, dict[str, float | None]]] = []
    conversation: dict[str, object] = {}
    for turn in range(turns + 1):
        if turn % max(turns // _STEPS, 1) == 0:
            print(f"soak: {turn} of {turns} turns", file=sys.stderr, flush=True)
            points += [(turn, _measure(server, data))] if turn else []
        if turn % _TURNS_PER_CONVERSATION == 0:
            chat_client = ChatClient(server, users.tokens()[0])
            conversation = {}
        chat_client.ask({"message": f"question {turn}"} | conversation, patience_s=60)
        conversation = {"conversation_id": chat_client.conversation_id}
    return points


def _measure(server: Server, data: Path) -> dict[str, float | None]:
    """Sweep the log of events, and return the value of each quantity."""
    with _database(server, data) as connection:
        connection.execute(_AGE_EVENTS)
        for schedule in call(server, "GET", "/_local/status")[1]["schedules"]:
            if "Sweep" in schedule["name"]:
                call(server, "POST", f"/_local/schedules/{schedule['name']}", timeout_s=_SWEEP_LIMIT_S)
        sizes = connection.execute("SELECT relname, pg_total_relation_size(relid) FROM pg_stat_user_tables").fetchall()
    probe = Probe(server, data, dict(sizes))
    return {quantity.name: quantity.measure(probe) for quantity in QUANTITIES}


@contextmanager
def _database(server: Server, data: Path) -> Iterator[psycopg.Connection[Any]]:
    """Connect to PostgreSQL as the superuser."""
    password = json.loads((data / "secrets.json").read_text())[SUPERUSER]
    port = call(server, "GET", "/_local/status")[1]["services"]["postgres"]["port"]
    login = f"host=127.0.0.1 port={port} user={SUPERUSER} password={password} dbname={DATABASE_NAME}"
    with psycopg.connect(login, autocommit=True) as connection:
        yield connection


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=20_000)
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file to write (default: %(default)s)")
    options = parser.parse_args()
    growths = measured(options.turns)
    text = f"# Soak\n\n{machine.header()}\n\n{section(growths, options.turns).text}\n"
    print(text)
    options.results.write_text(text)
    sys.exit(0 if all(growth.is_flat for growth in judged(growths, options.turns)) else 1)


if __name__ == "__main__":
    main()
