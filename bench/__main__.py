"""All measurements, printed and kept: `python -m bench`, or `make bench`. Linux only: CPU and memory come from /proc."""

import argparse
import sys
from pathlib import Path

from bench import accounts, cold, length, machine, providers, soak, start, tools, turn
from bench.servers import ServerFailed

RESULTS = Path(__file__).with_name("results") / "latest.md"
_ROUNDS = 3


def measured(given: argparse.Namespace) -> str:
    """Measure everything and return the document."""
    parts = ["# Benchmark", machine.header()]
    parts.append(turn.run(turn.Options(given.rounds, given.seconds, not given.without_litellm)))
    parts.append(cold.run(rounds=given.rounds))
    parts.append(providers.run(rounds=given.rounds))
    parts.append(start.run(rounds=given.rounds))
    parts.append(accounts.run(rounds=given.rounds * 50, pairs=given.pairs))
    parts.append(length.run(rounds=given.rounds * 50))
    parts.append(tools.run(rounds=given.rounds * 50))
    parts.append(soak.run(turns=given.turns))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure, print and write `bench/results/latest.md`."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="of everything (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of load for each server and way in each round")
    parser.add_argument("--pairs", type=int, default=500, help="of known and unknown addresses, for each way to ask")
    parser.add_argument("--turns", type=int, default=1000, help="over which the memory is watched")
    parser.add_argument("--without-litellm", action="store_true", help="do not install and start LiteLLM")
    try:
        document = measured(parser.parse_args())
    except ServerFailed as error:
        sys.exit(str(error))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(document)
    print(document)


if __name__ == "__main__":
    main()
