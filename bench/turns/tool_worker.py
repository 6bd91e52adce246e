"""Time tool calls through the chat function's invoker, in one process: `python -m bench.turns.tool_worker`.

`bench.turns.tools` runs this module with a worker's environment, so that it uses the tool runner of the running stack. Prints
the times in milliseconds as JSON; with `--profile`, prints a profile to stderr instead.
"""

import argparse
import cProfile
import json
import os
import pstats
import sys
import time
from collections.abc import Mapping
from typing import Any

from functions.chat.turn.tools import ParallelToolCalls, ParsedToolCall
from parley.ids import new_id
from parley.tools.invoker import Invoker
from parley.tools.mcp import Elicitation
from parley.tools.outcome import ToolOutcome

CALL = {"expression": "12.5% of 840"}
_ROUNDS_OF_TWO = 5


class UserToolRunner:
    """The tool runner for one user, with the interface of a turn's toolbox."""

    offered = ()

    def __init__(self) -> None:
        self.invoker = Invoker(os.environ["PARLEY_TOOLRUNNER_FUNCTION"])
        self._user_id = new_id()

    def run(self, name: str, arguments: Mapping[str, Any], *, timeout_s: float, elicitation: Elicitation | None = None) -> ToolOutcome:  # noqa: ARG002 - no tool asks
        """Run a tool; exit if it fails."""
        outcome = self.invoker.run(name, arguments, user_id=self._user_id, timeout_s=timeout_s)
        if not outcome.ok:
            raise SystemExit(f"{name}: {outcome.content}")
        return outcome


def time_calls(runner: UserToolRunner, rounds: int) -> list[float]:
    """Time sequential calls of the calculator."""
    times = []
    for _ in range(rounds + 10):
        started_s = time.perf_counter()
        runner.run("calculator", CALL, timeout_s=9.0)
        times.append((time.perf_counter() - started_s) * 1000)
    return times[10:]


def time_rounds_of_two(runner: UserToolRunner, page: str) -> list[float]:
    """Time rounds of two parallel calls, each of which fetches a page."""
    times = []
    for _ in range(_ROUNDS_OF_TWO + 1):
        started_s = time.perf_counter()
        calls = [ParsedToolCall(f"c{number}", "fetch_url", {"url": f"{page}{number}"}) for number in range(2)]
        parallel = ParallelToolCalls(runner, dict.fromkeys(calls, 9.0), {})
        while parallel.is_running:
            parallel.next(timeout_s=0.1)
        times.append((time.perf_counter() - started_s) * 1000)
    return times[1:]


def main() -> None:
    """Measure, and print the times."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--page", required=True)
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    runner = UserToolRunner()
    if args.profile:
        profile = cProfile.Profile()
        profile.runcall(time_calls, runner, args.rounds)
        pstats.Stats(profile, stream=sys.stderr).sort_stats("cumulative").print_stats(40)
        return
    print("\n" + json.dumps({"call": time_calls(runner, args.rounds), "round": time_rounds_of_two(runner, args.page)}))


if __name__ == "__main__":
    main()
