"""The overhead of a tool call, and whether two calls of a round run in parallel: `python -m bench.turns.tools`.

The calculator takes almost no time, so its calls measure the overhead. The two calls of a round fetch a page that takes a
second.
"""

import argparse
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

from bench.harness import processes
from bench.harness.aims import Section
from bench.harness.servers import HOST, Server, ServerFailed
from bench.harness.stack import CHAT_HANDLER, ChatClient, Users, running_parley, workers
from bench.harness.tables import format_figure, median, quantile, table, verdict

INTRODUCTION = """\
Warm, sequential calls in milliseconds: by the chat function's invoker in a separate process, through the emulator's Invoke
endpoint to the tool runner; by POST /tools/calculator/invoke, through gateway, authorizer and tools function; and a round with
two parallel calls, each of which fetches a page that takes a second."""

AIM_MS = 5.0
ROUND_AIM_MS = 1300.0
CALL = {"expression": "12.5% of 840"}


def run(*, rounds: int) -> Section:
    """Measure and return the table."""
    with TemporaryDirectory(prefix="parley-bench-") as name, _slow_page() as port, _running_stack(name, port) as server:
        token = Users(server, 1).tokens()[0]
        with ChatClient(server, token) as chat_client:
            chat_client.ask({"message": "begin", "model": "offline"})
        times = {"http": _over_http(server, token, rounds)} | _by_invoker(server, rounds, port)
    names = {"call": "calculator, by the invoker", "http": "calculator, over HTTP", "round": "two tools of 1 s in one round"}
    rows = [[text, *map(format_figure, (min(times[key]), median(times[key]), quantile(times[key], 0.95)))] for key, text in names.items()]
    rows.append([f"aim by the invoker ≤ {AIM_MS:g}", "", verdict(median(times["call"]), at_most=AIM_MS), ""])
    rows.append([f"aim of the round ≤ {ROUND_AIM_MS:g}", "", verdict(median(times["round"]), at_most=ROUND_AIM_MS), ""])
    return Section(f"## A tool call\n\n{INTRODUCTION}\n\n" + table(["", "min", "p50", "p95"], rows))


def _running_stack(folder: str, port: int) -> AbstractContextManager[Server]:
    return running_parley(Path(folder), parameters=[f"ToolAllowedHosts={HOST}:{port}"])


@contextmanager
def _slow_page() -> Iterator[int]:
    """Serve a page that takes a second; yield the port."""

    class SlowPage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(1)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(b"slow")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), SlowPage)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


def _over_http(server: Server, token: str, rounds: int) -> list[float]:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    times = []
    for _ in range(rounds + 10):
        started_s = time.perf_counter()
        connection.request("POST", "/tools/calculator/invoke", json.dumps({"arguments": CALL}), headers)
        answer = connection.getresponse()
        document = answer.read()
        times.append((time.perf_counter() - started_s) * 1000)
        if answer.status != 200:
            raise ServerFailed(f"a tool call failed with status {answer.status}: {document.decode(errors='replace')}")
    connection.close()
    return times[10:]


def _by_invoker(server: Server, rounds: int, port: int) -> dict[str, list[float]]:
    environment = processes.environment(workers(server)[CHAT_HANDLER][0])
    command = [sys.executable, "-m", "bench.turns.tool_worker", "--rounds", str(rounds), "--page", f"http://{HOST}:{port}/"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"bench.turns.tool_worker: {done.stderr[-2000:]}")
    times: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    print(run(rounds=parser.parse_args().rounds).text)


if __name__ == "__main__":
    main()
