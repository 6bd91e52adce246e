"""What a turn costs in a conversation of 10,000 messages beside one of 10: `python -m bench.length`.

They are asked in turn, each short conversation once, so that it stays short.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import processes, targets
from bench.asking import Asker
from bench.servers import Server, ServerFailed
from bench.stack import CHAT_HANDLER, People, running_parley, workers
from bench.tables import figure, median, over, quantile, table, times, verdict

INTRODUCTION = """\
A warm turn over HTTP, not streamed, in a conversation that has so many messages already. The model is given the newest 200
of them at most: what 200 messages cost is the longer request, and only what 10,000 cost beyond that is the conversation's length."""

SHORT, FULL, LONG = 10, 200, 10_000
MOST = 1.3


def run(*, rounds: int) -> str:
    """Measure and return the table."""
    with TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        with targets.upstream(folder) as fake, running_parley(folder, upstream=f"{fake.server.url}/v1") as server:
            found = _times(server, rounds)
    ratio = over(median(found[LONG]), median(found[SHORT]))
    rows = [[f"{length:,} messages", figure(median(ms)), figure(quantile(ms, 0.95))] for length, ms in found.items()]
    rows += [[f"{LONG:,} over {FULL}", times(over(median(found[LONG]), median(found[FULL]))), ""]]
    rows += [[f"{LONG:,} over {SHORT}", times(ratio), ""], [f"aim ≤ {MOST}×", verdict(ratio, at_most=MOST), ""]]
    return f"## A turn in a long conversation\n\n{INTRODUCTION}\n\n" + table(["", "p50 ms", "p95 ms"], rows)


def _times(server: Server, rounds: int) -> dict[int, list[float]]:
    token = People(server, 1).tokens()[0]
    found: dict[int, list[float]] = {SHORT: [], FULL: [], LONG: []}
    with Asker(server, token) as asker:
        for _ in range(10):
            asker.ask({"message": "warm up"})
        short, (full,), (long,) = (_make(server, token, count, messages) for count, messages in ((rounds, SHORT), (1, FULL), (1, LONG)))
        asker.ask({"message": "warm up", "conversation_id": long})
        for one in short:
            for length, conversation_id in ((SHORT, one), (FULL, full), (LONG, long)):
                found[length].append(asker.ask({"message": "how are you?", "conversation_id": conversation_id}))
    return found


def _make(server: Server, token: str, count: int, messages: int) -> list[str]:
    """Store conversations by a process that has a worker's environment; return their ids."""
    environment = processes.environment(workers(server)[CHAT_HANDLER][0])
    command = [sys.executable, "-m", "bench.lengthen", "--token", token, "--count", str(count), "--messages", str(messages)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"bench.lengthen: {done.stderr[-2000:]}")
    ids: list[str] = json.loads(done.stdout.splitlines()[-1])
    return ids


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    print(run(rounds=parser.parse_args().rounds))


if __name__ == "__main__":
    main()
