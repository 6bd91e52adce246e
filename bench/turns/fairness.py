"""How much one user's worst slows another user's turns: `python -m bench.turns.fairness`. Linux only: reads /proc.

Each kind of worst has a stack of its own, because the work that it leaves behind must not slow the next kind. One user takes
turns alone, then beside an ordinary user, who does the same, then beside the worst user. A series beside another ordinary user
comes before these two, unmeasured, so that the first of them does not also warm the stack up. The ratio compares the last two:
whoever is beside another user shares the processors with that user's ordinary turns too, so a comparison with a user alone
would also count what nobody does wrong. The table has the turns alone as well.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness import processes
from bench.harness.aims import Figure, Section
from bench.harness.servers import HOST, Server, ServerFailed, call, free_port
from bench.harness.stack import ChatClient, Users, running_parley
from bench.harness.tables import format_figure, format_ratio, median, quantile, ratio_of, table, verdict
from bench.turns import targets
from bench.turns.worst_user import KINDS, ORDINARY, PAUSE_S

INTRODUCTION = """\
Whole turns of one user, one after the other, while a process computes on one core all the time: first alone, then beside a
second user who also takes turns one after the other, then beside one who does the worst that a route allows, with the
template's own rate limit. A series beside an ordinary user, unmeasured, warms the stack up for both. The ratio is that of the
last two medians. A refused turn counts as an error."""

MAX_RATIO = 1.5
_WARM_UP_TURNS = 3
_QUIET_LIMIT_S = 120.0
# A stack with nothing to do uses about 3% of a core.
_QUIET_CPU_MS = 60.0


@dataclass
class OtherUser:
    """The times of a user's turns in milliseconds: alone, beside an ordinary user and beside the worst user."""

    alone_ms: list[float] = field(default_factory=list)
    ordinary_ms: list[float] = field(default_factory=list)
    worst_ms: list[float] = field(default_factory=list)
    errors: int = 0

    @property
    def ratio(self) -> float | None:
        """The median beside the worst user divided by the median beside an ordinary user; None if a turn failed."""
        return None if self.errors else ratio_of(median(self.worst_ms), median(self.ordinary_ms))


def measure(*, turns: int, kinds: Sequence[str] = tuple(KINDS)) -> dict[str, OtherUser]:
    """Measure each kind on a stack of its own."""
    mcp_port = free_port()
    parameters = [f"ToolAllowedHosts={HOST}:{mcp_port}", "RatePerMinute=60"]
    results: dict[str, OtherUser] = {}
    with TemporaryDirectory(prefix="parley-bench-") as name, targets.upstream(Path(name)) as fake, processes.running_hogs(1):
        for kind in kinds:
            folder = Path(name, str(len(results)))
            folder.mkdir()
            with running_parley(folder, upstream=f"{fake.server.url}/v1", parameters=parameters) as server:
                results[kind] = _measure_kind(server, kind, mcp_port, turns)
            load = " ".join(f"{average:.1f}" for average in os.getloadavg())
            print(f"fairness: {' | '.join(_row(kind, results[kind]))} | load {load}", file=sys.stderr, flush=True)
    return results


def run(*, turns: int) -> Section:
    """Measure and return the table and the worst ratio."""
    results = measure(turns=turns)
    ratios = [user.ratio for user in results.values()]
    worst = None if None in ratios else max(filter(None, ratios), default=None)
    return Section(report(results), [Figure("a user's turn beside another's worst and a CPU hog", worst, "×", at_most=MAX_RATIO)])


def report(results: dict[str, OtherUser]) -> str:
    """Return the table as Markdown."""
    head = ["the other user's worst", "alone ms", "beside ordinary", "beside worst", "p95 ordinary", "p95 worst", "errors", "ratio"]
    rows = [_row(kind, user) for kind, user in results.items()]
    return f"## One user beside another\n\n{INTRODUCTION}\n\n" + table([*head, f"≤ {MAX_RATIO}×"], rows)


def _row(kind: str, user: OtherUser) -> list[str]:
    times = [
        *map(median, (user.alone_ms, user.ordinary_ms, user.worst_ms)),
        *(quantile(ms, 0.95) for ms in (user.ordinary_ms, user.worst_ms)),
    ]
    result = "not reached" if user.errors else verdict(user.ratio, at_most=MAX_RATIO)
    return [kind, *map(format_figure, times), str(user.errors), format_ratio(user.ratio), result]


def _measure_kind(server: Server, kind: str, mcp_port: int, turns: int) -> OtherUser:
    other = OtherUser()
    second_token, ordinary_token, token = Users(server, 3).tokens()
    with ChatClient(server, token) as client:
        _take_turns(client, _WARM_UP_TURNS, OtherUser(), [])
        _wait_until_quiet(server)
        _take_turns(client, turns, other, other.alone_ms)
    _warm_up_beside(server, mcp_port, turns)
    # The rate limit allows no third series of turns.
    token = Users(server, 1).tokens()[0]
    with ChatClient(server, token) as client:
        _take_turns(client, _WARM_UP_TURNS, OtherUser(), [])
        for name, its_token, times_ms in ((ORDINARY, ordinary_token, other.ordinary_ms), (kind, second_token, other.worst_ms)):
            with _running_second_user(server, name, its_token, mcp_port) as second:
                _take_turns(client, turns, other, times_ms)
                if second.poll() is not None:
                    raise ServerFailed(f"{name}: the second user ended")
    return other


def _warm_up_beside(server: Server, mcp_port: int, turns: int) -> None:
    """Take turns beside an ordinary user: workers, connections and caches are as warm for the next series as for the one after it."""
    ordinary_token, token = Users(server, 2).tokens()
    with ChatClient(server, token) as client, _running_second_user(server, ORDINARY, ordinary_token, mcp_port):
        _take_turns(client, turns, OtherUser(), [])
    _wait_until_quiet(server)


def _take_turns(client: ChatClient, count: int, user: OtherUser, times_ms: list[float]) -> None:
    for _ in range(count):
        try:
            times_ms.append(client.ask({"message": "how are you?"}))
        except (ServerFailed, OSError) as error:
            print(f"fairness: {error}", file=sys.stderr, flush=True)
            user.errors += 1
        time.sleep(PAUSE_S)


@contextmanager
def _running_second_user(server: Server, kind: str, token: str, mcp_port: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bench.turns.worst_user", kind, "--url", server.url, "--token", token, "--mcp-port", str(mcp_port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout
            if process.stdout.readline() != "prepared\n":
                raise ServerFailed(f"{kind}: the second user could not begin")
            time.sleep(1.0)
            yield process
        finally:
            process.kill()


def _wait_until_quiet(server: Server) -> None:
    """Wait until no worker is busy and the stack has used little processor time for a second."""
    ends = time.monotonic() + _QUIET_LIMIT_S
    while time.monotonic() < ends:
        before_ms = _cpu_ms(server)
        time.sleep(1.0)
        if _cpu_ms(server) - before_ms < _QUIET_CPU_MS and not _busy_workers(server):
            return
    raise ServerFailed(f"the stack is still busy after {_QUIET_LIMIT_S:g} s")


def _busy_workers(server: Server) -> int:
    _, status = call(server, "GET", "/_local/status")
    return sum(function["workers"].get("busy", 0) for function in status["functions"])


def _cpu_ms(server: Server) -> float:
    return processes.cpu_ms(processes.tree(server.pid)) or 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=25)
    parser.add_argument("--only", default="", help="part of the name of a kind")
    args = parser.parse_args()
    print(report(measure(turns=args.turns, kinds=[kind for kind in KINDS if args.only in kind])))


if __name__ == "__main__":
    main()
