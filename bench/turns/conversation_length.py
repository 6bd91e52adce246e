"""The latency of a turn in a long conversation, and of a user with many: `python -m bench.turns.conversation_length`.

The conversations alternate. Each short conversation gets one turn, so that it stays short.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness.aims import Figure, Section
from bench.harness.servers import Server, ServerFailed
from bench.harness.stack import CHAT_HANDLER, ChatClient, Users, running_parley, worker_environments
from bench.harness.tables import format_figure, format_ratio, median, quantile, ratio_of, table, verdict
from bench.turns import targets

INTRODUCTION = """\
A warm turn over HTTP, not streamed, in a conversation with that many messages. The model gets at most the newest 200 messages,
so the cost of 200 messages is that of the longer prompt, and only the additional cost of 10,000 is due to the length. The last
rows are turns that begin a conversation, of users who have that many already."""

# The reason why the aim for the longest conversation may be missed.
LONGER_PROMPT = (
    "The model gets at most 200 messages. Reading, sending and parsing 200 of them costs what the row of 200 messages shows; the other "
    "9,800 cost nothing."
)

SHORT = 10
FULL = 200
LONG = 10_000
MAX_RATIO = 1.2
FEW = 10
MANY = 1_000


def run(*, rounds: int) -> Section:
    """Measure and return the table."""
    with TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        with targets.upstream(folder) as fake, running_parley(folder, upstream=f"{fake.server.url}/v1") as server:
            times_ms = _measure_turns(server, rounds)
            by_conversations = _measure_users(server, rounds)
    ratio = ratio_of(median(times_ms[LONG]), median(times_ms[SHORT]))
    many_ratio = ratio_of(median(by_conversations[MANY]), median(by_conversations[FEW]))
    rows = [[f"{length:,} messages", format_figure(median(ms)), format_figure(quantile(ms, 0.95))] for length, ms in times_ms.items()]
    rows += [[f"{LONG:,} over {FULL}", format_ratio(ratio_of(median(times_ms[LONG]), median(times_ms[FULL]))), ""]]
    rows += [[f"{LONG:,} over {SHORT}", format_ratio(ratio), verdict(ratio, at_most=MAX_RATIO)]]
    rows += [[f"{n:,} conversations", format_figure(median(ms)), format_figure(quantile(ms, 0.95))] for n, ms in by_conversations.items()]
    rows += [[f"{MANY:,} over {FEW}", format_ratio(many_ratio), verdict(many_ratio, at_most=MAX_RATIO)]]
    return Section(
        f"## A turn in a long conversation\n\n{INTRODUCTION}\n\n" + table(["", "p50 ms", "p95 ms"], rows),
        [
            Figure(f"turn with {MANY:,} conversations over one with {FEW}", many_ratio, "×", at_most=MAX_RATIO),
            Figure(f"turn after {LONG:,} messages over one after {SHORT}", ratio, "×", at_most=MAX_RATIO, reason=LONGER_PROMPT),
        ],
    )


def _measure_users(server: Server, rounds: int) -> dict[int, list[float]]:
    """Return the times of turns that begin a conversation, by the number of conversations that their user has."""
    tokens = dict(zip((FEW, MANY), Users(server, 2).tokens(), strict=True))
    times_ms: dict[int, list[float]] = {FEW: [], MANY: []}
    with ChatClient(server, tokens[FEW]) as few, ChatClient(server, tokens[MANY]) as many:
        clients = {FEW: few, MANY: many}
        for count, client in clients.items():
            store_conversations(server, tokens[count], count, SHORT)
            client.ask({"message": "warm up"})
        for _ in range(min(rounds, FEW)):
            for count, client in clients.items():
                times_ms[count].append(client.ask({"message": "how are you?"}))
    return times_ms


def _measure_turns(server: Server, rounds: int) -> dict[int, list[float]]:
    token = Users(server, 1).tokens()[0]
    times_ms: dict[int, list[float]] = {SHORT: [], FULL: [], LONG: []}
    with ChatClient(server, token) as chat_client:
        for _ in range(10):
            chat_client.ask({"message": "warm up"})
        short, (full,), (long,) = (
            store_conversations(server, token, count, messages) for count, messages in ((rounds, SHORT), (1, FULL), (1, LONG))
        )
        chat_client.ask({"message": "warm up", "conversation_id": long})
        for short_id in short:
            for length, conversation_id in ((SHORT, short_id), (FULL, full), (LONG, long)):
                times_ms[length].append(chat_client.ask({"message": "how are you?", "conversation_id": conversation_id}))
    return times_ms


def store_conversations(server: Server, token: str, count: int, messages: int) -> list[str]:
    """Store conversations in a process with a worker's environment; return their ids."""
    environment = worker_environments(server, [CHAT_HANDLER])[CHAT_HANDLER]
    command = [sys.executable, "-m", "bench.turns.long_conversations", "--token", token, "--count", str(count), "--messages", str(messages)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"bench.turns.long_conversations: {done.stderr[-2000:]}")
    ids: list[str] = json.loads(done.stdout.splitlines()[-1])
    return ids


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    print(run(rounds=parser.parse_args().rounds).text)


if __name__ == "__main__":
    main()
