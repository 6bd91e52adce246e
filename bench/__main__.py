"""Run all benchmarks and save the results: `python -m bench`, or `make bench`. Linux only: CPU and memory come from /proc."""

import argparse
import sys
from pathlib import Path

from bench.auth import accounts
from bench.harness import machine
from bench.harness.servers import ServerFailed
from bench.startup import cold_start, parley_up, providers
from bench.turns import conversation_length, latency, soak, tools

RESULTS = Path(__file__).with_name("results") / "latest.md"
_ROUNDS = 3


def measure_all(args: argparse.Namespace) -> str:
    """Run all benchmarks and return the Markdown document."""
    parts = ["# Benchmark", machine.header()]
    parts.append(latency.run(latency.Options(args.rounds, args.seconds, not args.without_litellm)))
    parts.append(cold_start.run(rounds=args.rounds))
    parts.append(providers.run(rounds=args.rounds))
    parts.append(parley_up.run(rounds=args.rounds))
    parts.append(accounts.run(rounds=args.rounds * 50, pairs=args.pairs))
    parts.append(conversation_length.run(rounds=args.rounds * 50))
    parts.append(tools.run(rounds=args.rounds * 50))
    parts.append(soak.run(turns=args.turns))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure, print, and write `bench/results/latest.md`."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="rounds of each benchmark (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds of load for each server and request mode in each round")
    parser.add_argument("--pairs", type=int, default=500, help="pairs of known and unknown addresses for each kind of request")
    parser.add_argument("--turns", type=int, default=1000, help="turns during which memory is measured")
    parser.add_argument("--without-litellm", action="store_true", help="do not install and start LiteLLM")
    try:
        document = measure_all(parser.parse_args())
    except ServerFailed as error:
        sys.exit(str(error))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(document)
    print(document)


if __name__ == "__main__":
    main()
