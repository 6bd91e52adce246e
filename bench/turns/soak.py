"""Growth of the chat function's memory over many turns: `python -m bench.turns.soak`. Linux only: reads /proc."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness import processes
from bench.harness.aims import Section
from bench.harness.servers import Server
from bench.harness.stack import CHAT_HANDLER, ChatClient, Users, running_parley, workers
from bench.harness.tables import format_figure, table, verdict
from bench.turns import targets

INTRODUCTION = """\
The resident memory of the chat function's worker during sequential turns of one client, with a new conversation every ten turns.
The first turns import modules, so the slope (least squares) is computed without the first fifth of the turns."""

MAX_MB_PER_1000 = 2.0
_STEPS = 10
_TURNS_PER_CONVERSATION = 10


def run(*, turns: int) -> Section:
    """Measure and return the table."""
    with TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        with targets.upstream(folder) as fake, running_parley(folder, upstream=f"{fake.server.url}/v1") as server:
            points = _measure_memory(server, turns)
    mb_per_turn = slope([(turn, mb) for turn, mb in points if turn * 5 >= turns])
    rows = [[f"{turn}", format_figure(mb)] for turn, mb in points]
    mb_per_1000 = None if mb_per_turn is None else mb_per_turn * 1000
    rows.append(["slope, MB per 1,000 turns", format_figure(mb_per_1000, digits=2)])
    rows.append([f"aim ≤ {MAX_MB_PER_1000:.0f}", verdict(mb_per_1000, at_most=MAX_MB_PER_1000)])
    return Section(f"## Memory over {turns} turns\n\n{INTRODUCTION}\n\n" + table(["after turns", "MB"], rows))


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Return the slope of the least-squares line through the points, or None for fewer than two points."""
    if len(points) < 2:
        return None
    mean_x, mean_y = sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) * (x - mean_x) for x, _ in points)


def _measure_memory(server: Server, turns: int) -> list[tuple[float, float]]:
    users = Users(server, 1)
    points: list[tuple[float, float]] = []
    conversation: dict[str, object] = {}
    for turn in range(turns + 1):
        if turn % (turns // _STEPS) == 0:
            print(f"soak: {turn} of {turns} turns", file=sys.stderr, flush=True)
            points += [(turn, mb)] if (mb := _resident_mb(server)) is not None else []
        if turn % _TURNS_PER_CONVERSATION == 0:
            chat_client = ChatClient(server, users.tokens()[0])
            conversation = {}
        chat_client.ask({"message": f"question {turn}"} | conversation)
        conversation = {"conversation_id": chat_client.conversation_id}
    return points


def _resident_mb(server: Server) -> float | None:
    """Return the resident memory of the largest chat worker, or None before the first turn."""
    return max((mb for pid in workers(server).get(CHAT_HANDLER, []) if (mb := processes.resident_mb(pid)) is not None), default=None)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=1000)
    print(run(turns=parser.parse_args().turns).text)


if __name__ == "__main__":
    main()
