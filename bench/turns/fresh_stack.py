"""A stack that has just started: its first stop, and 16 clients from the first second on: `python -m bench.turns.fresh_stack`."""

import argparse
import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness import machine
from bench.harness.aims import Figure, Section
from bench.harness.load import LoadResult
from bench.harness.servers import HOST, Server, ServerFailed
from bench.harness.stack import Users, running_parley
from bench.harness.tables import format_figure, mean, median, ratio_of, table
from bench.turns import targets
from bench.turns.latency_report import MANY_CLIENTS, STORES_NOTHING
from bench.turns.targets import Target

INTRODUCTION = """\
Each figure is of servers started anew for it. The first stop is the first request to stop a turn, from the request to the
turn's last event. Turns a second are those of 16 clients in the first seconds, without any warm-up: the mean of the starts."""

_TURN_ID = re.compile(rb'"turn_id": ?"([^"]+)"')
_LAST_EVENT = b"event: turn.stopped"


def run(*, rounds: int, seconds: float, has_litellm: bool) -> Section:
    """Measure and return the table and figures."""
    stops_s = [_first_stop_s() for _ in range(rounds)]
    per_s: dict[tuple[str, bool], list[float]] = {
        (name, is_streamed): [] for name in ("Parley", "LiteLLM") for is_streamed in (True, False)
    }
    starts = {"Parley": _parley} | ({"LiteLLM": targets.litellm} if has_litellm else {})
    for is_streamed in (True, False):
        for _ in range(rounds):
            for name, start in starts.items():
                per_s[name, is_streamed].append(_turns_per_s(start, is_streamed=is_streamed, seconds=seconds))
    rows = [["first stop, median, s", format_figure(median(stops_s), digits=2)]]
    figures = [Figure("first stop of a fresh stack", median(stops_s), "s", at_most=0.8)]
    for is_streamed, kind in ((False, "whole turns"), (True, "streams")):
        ours, rival = (mean(per_s[name, is_streamed]) for name in ("Parley", "LiteLLM"))
        rows += [[f"{kind} a second, Parley", format_figure(ours)], [f"{kind} a second, LiteLLM", format_figure(rival)]]
        name = f"{kind} a second, {MANY_CLIENTS} clients from the first second on, beside LiteLLM"
        figures.append(Figure(name, ratio_of(ours, rival), "×", at_least=2.5, reason=STORES_NOTHING))
    return Section(f"## A fresh stack\n\n{INTRODUCTION}\n\n{table(['', 'measured'], rows)}", figures)


def _parley(folder: Path, *, base_url: str) -> AbstractContextManager[Target]:
    return targets.parley(folder, base_url=base_url, users=MANY_CLIENTS)


def _turns_per_s(start: Callable[..., AbstractContextManager[Target]], *, is_streamed: bool, seconds: float) -> float:
    machine.wait_until_idle()
    with TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        with targets.upstream(folder) as fake, start(folder, base_url=f"{fake.server.url}/v1") as target:
            request = target.request(is_streamed=is_streamed)
            print(f"fresh: {target.name}, {'streamed' if is_streamed else 'whole'}", file=sys.stderr, flush=True)
            command = [sys.executable, "-m", "bench.harness.load", "--url", request.url, "--body", request.body, "--warm-up", "0"]
            command += ["--clients", str(MANY_CLIENTS), "--seconds", str(seconds)]
            command += [part for key in request.keys for part in ("--key", key)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise ServerFailed(f"the load generator failed at {request.url}:\n{done.stderr[-2000:]}")
            load = LoadResult(**json.loads(done.stdout))
            return len(load.times_ms) / load.elapsed_s


def _first_stop_s() -> float:
    """Return the seconds from the request to stop a new stack's first turn until the turn's last event."""
    with TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        with targets.upstream(folder) as fake, running_parley(folder, upstream=f"{fake.server.url}/v1") as server:
            return _stop_turn(server, Users(server, 1).tokens()[0])


def _stop_turn(server: Server, token: str) -> float:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
    connection.request("POST", "/chat", json.dumps({"message": "hello", "model": "slow"}), headers)
    answer = connection.getresponse()
    turn_id = next((found[1].decode() for line in answer if (found := _TURN_ID.search(line))), None)
    if turn_id is None or not any(b"text.delta" in line for line in answer):
        raise ServerFailed("the turn ended before its first word")
    began = time.perf_counter()
    thread = threading.Thread(target=_request_stop, args=(server, f"/chat/turns/{turn_id}/stop", headers))
    thread.start()
    while line := answer.readline():
        if line.startswith(_LAST_EVENT):
            break
    elapsed_s = time.perf_counter() - began
    thread.join()
    connection.close()
    if not line:
        raise ServerFailed("the turn ended without being stopped")
    return elapsed_s


def _request_stop(server: Server, path: str, headers: dict[str, str]) -> None:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
    connection.request("POST", path, "", headers)
    connection.getresponse().read()
    connection.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--without-litellm", action="store_true")
    args = parser.parse_args()
    print(run(rounds=args.rounds, seconds=args.seconds, has_litellm=not args.without_litellm).text)


if __name__ == "__main__":
    main()
