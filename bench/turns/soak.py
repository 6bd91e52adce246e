"""Does the chat function's memory stay flat over many turns? `python -m bench.turns.soak`. Linux only: reads /proc."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness import processes
from bench.harness.servers import Server
from bench.harness.stack import CHAT_HANDLER, ChatClient, Users, running_parley, workers
from bench.harness.tables import format_figure, table, verdict
from bench.turns import targets

INTRODUCTION = """\
The resident memory of the chat function's worker while one client takes turns, one after the other and a new conversation
every ten. The first turns import what they need; the slope is the straight line's (least squares) from a fifth of all on."""

MAX_MB_PER_1000 = 2.0
_STEPS = 10
_TURNS_PER_CONVERSATION = 10


def run(*, turns: int) -> str:
    """Measure and return the table."""
    with TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        with targets.upstream(folder) as fake, running_parley(folder, upstream=f"{fake.server.url}/v1") as server:
            found = _measure_memory(server, turns)
    grows = slope([(turn, mb) for turn, mb in found if turn * 5 >= turns])
    rows = [[f"{turn}", format_figure(mb)] for turn, mb in found]
    said = None if grows is None else grows * 1000
    rows.append(["slope, MB in 1,000 turns", format_figure(said, digits=2)])
    rows.append([f"aim ≤ {MAX_MB_PER_1000:.0f}", verdict(said, at_most=MAX_MB_PER_1000)])
    return f"## Memory over {turns} turns\n\n{INTRODUCTION}\n\n" + table(["after turns", "MB"], rows)


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Return how steep the straight line is that is nearest to the points (least squares); None of fewer than two."""
    if len(points) < 2:
        return None
    mean_x, mean_y = sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) * (x - mean_x) for x, _ in points)


def _measure_memory(server: Server, turns: int) -> list[tuple[float, float]]:
    users, found, conversation = Users(server, 1), list[tuple[float, float]](), dict[str, object]()
    for turn in range(turns + 1):
        if turn % (turns // _STEPS) == 0:
            print(f"soak: {turn} of {turns} turns", file=sys.stderr, flush=True)
            found += [(turn, mb)] if (mb := _resident_mb(server)) is not None else []
        if turn % _TURNS_PER_CONVERSATION == 0:
            chat_client, conversation = ChatClient(server, users.tokens()[0]), {}
        chat_client.ask({"message": f"question {turn}"} | conversation)
        conversation = {"conversation_id": chat_client.conversation_id}
    return found


def _resident_mb(server: Server) -> float | None:
    """Return what the largest worker of the chat function holds now; none has started before the first turn."""
    return max((mb for pid in workers(server).get(CHAT_HANDLER, []) if (mb := processes.resident_mb(pid)) is not None), default=None)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=1000)
    print(run(turns=parser.parse_args().turns))


if __name__ == "__main__":
    main()
