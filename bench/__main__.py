"""Run all benchmarks and save the results: `python -m bench`, or `make bench`. Linux only: CPU and memory come from /proc.

The first table compares each figure with its aim. A run at a load over 1 is not a good run: its report says so, and
`--strict` makes it fail.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.auth import accounts
from bench.emulator import further_worker, health_share
from bench.harness import machine
from bench.harness.aims import Section, aims_table
from bench.harness.documents import DOCS, documented_section, markers, with_section
from bench.harness.servers import ServerFailed
from bench.ingest import imports
from bench.startup import cold_start, parley_up, providers
from bench.turns import conversation_length, fairness, fresh_stack, freshness, latency, profile, soak, token_gaps, tools

RESULTS = Path(__file__).with_name("results") / "latest.md"
MAX_LOAD = 1.0

BENCHMARKS: Mapping[str, Callable[[argparse.Namespace], Section]] = {
    "latency": lambda args: latency.run(latency.Options(args.rounds * 4, args.seconds, not args.without_litellm, not args.without_portkey)),
    "fresh_stack": lambda args: fresh_stack.run(rounds=args.rounds + 2, seconds=args.seconds * 2, has_litellm=not args.without_litellm),
    "profile": lambda args: profile.run(turns=args.rounds * 50, follow_up_s=args.follow_up),
    "token_gaps": lambda args: token_gaps.run(rounds=args.rounds * 3),
    "conversation_length": lambda args: conversation_length.run(rounds=args.rounds * 20),
    "freshness": lambda args: freshness.run(statements=args.rounds * 2, clients=8, turns=300),
    "imports": lambda args: imports.run(conversations=args.rounds * 10, messages=20),
    "fairness": lambda args: fairness.run(turns=args.rounds * 8),
    "further_worker": lambda args: further_worker.run(rounds=args.rounds),
    "health_share": lambda args: health_share.run(rounds=args.rounds),
    "cold_start": lambda args: cold_start.run(rounds=args.rounds),
    "providers": lambda args: providers.run(rounds=args.rounds),
    "parley_up": lambda args: parley_up.run(rounds=args.rounds),
    "accounts": lambda args: accounts.run(rounds=args.rounds * 50, pairs=args.pairs),
    "tools": lambda args: tools.run(rounds=args.rounds * 50),
    "soak": lambda args: soak.run(turns=args.turns),
}


def report(head: str, sections: Sequence[Section], *, load: float) -> str:
    """Return the Markdown document: machine, aims, and the tables of all benchmarks. `load` is the load average at the start."""
    warning = f"\n\n**Not a good run: the load average at the start was {load:.1f}, over {MAX_LOAD:g}.**" if load > MAX_LOAD else ""
    return "\n\n".join(["# Benchmark", head + warning, aims_table(sections), *(section.text for section in sections)]) + "\n"


def documented(page: str, head: str, sections: Sequence[Section]) -> str:
    """Return the page with the aims, and each section that has a marker, replaced by those of this run.

    Raises ValueError if the page lacks a marker.
    """
    page = with_section(page, f"{head}\n\n{aims_table(sections)}\n", **markers("bench"))
    for section in sections:
        if section.marker:
            page = documented_section(page, head, section)
    return page


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each benchmark (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds of load for each server and request mode in each round")
    parser.add_argument("--pairs", type=int, default=200, help="pairs of known and unknown addresses for each kind of request")
    parser.add_argument("--turns", type=int, default=500, help="turns during which memory is measured")
    parser.add_argument("--follow-up", type=float, default=45.0, help="seconds during which the follow-up work of turns is measured")
    parser.add_argument("--without-litellm", action="store_true", help="do not install and start LiteLLM")
    parser.add_argument("--without-portkey", action="store_true", help="do not install and start Portkey's gateway")
    parser.add_argument("--only", action="append", choices=list(BENCHMARKS), help="run this benchmark and print it, without saving; repeat")
    parser.add_argument("--strict", action="store_true", help=f"exit with status 2 if the load at the start was over {MAX_LOAD:g}")
    parser.add_argument("--write-docs", action="store_true", help=f"write the aims and the cost of a turn into {DOCS.name} too")
    return parser


def main() -> None:
    """Measure, print, and write `bench/results/latest.md`."""
    args = _parser().parse_args()
    head, load = machine.header(), os.getloadavg()[0]
    sections = []
    try:
        for name in args.only or BENCHMARKS:
            print(f"bench: {name}", file=sys.stderr, flush=True)
            sections.append(BENCHMARKS[name](args))
    except ServerFailed as error:
        sys.exit("\n".join([str(error), *getattr(error, "__notes__", [])]))
    document = report(head, sections, load=load)
    print(document)
    if not args.only:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(document)
    if args.write_docs:
        DOCS.write_text(documented(DOCS.read_text(), head, sections))
    if args.strict and load > MAX_LOAD:
        sys.exit(2)


if __name__ == "__main__":
    main()
