"""What signing in costs, and whether its time tells who has an account: `python -m bench.accounts`.

The handlers run warm in a process of their own with the running stack's database. Whether known and unknown addresses
can be told apart by time is the area under the ROC curve (AUC) over interleaved pairs at the production cost of a hash:
0.5 is a coin, and 500 pairs have a standard error of 0.018.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import processes
from bench.servers import ServerFailed
from bench.stack import People, running_parley, workers
from bench.tables import figure, median, quantile, table, verdict

WAYS = {"login": "off", "register": "on", "forgot": "off"}


def run(*, rounds: int, pairs: int) -> str:
    """Measure everything and return the tables."""
    with TemporaryDirectory(prefix="parley-bench-") as name, running_parley(Path(name)) as server:
        token = People(server, 1).tokens()[0]
        environments = {handler: processes.environment(pids[0]) for handler, pids in workers(server).items()}
        auth, authorizer = environments["functions.auth.app.handler"], environments["functions.authorizer.app.handler"]
        times = _child(["calls", "--rounds", str(rounds)], auth)
        times |= _child(["authorizations", "--rounds", str(rounds * 10), "--token", token], authorizer)
        told = {}
        for way, verification in WAYS.items():
            print(f"accounts: {pairs} pairs of {way}", file=sys.stderr, flush=True)
            told[way] = _child([way, "--rounds", str(pairs)], auth | {"PARLEY_EMAIL_VERIFICATION": verification})
    return "\n\n".join(["## Accounts", _costs(times), _telling(told)])


def auc(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Return how often a positive is above a negative, ties as half: the area under the ROC curve."""
    above = sum((p > n) + (p == n) / 2 for p in positives for n in negatives)
    return above / (len(positives) * len(negatives))


def _costs(times: Mapping[str, list[float]]) -> str:
    added = [login - bare for login, bare in zip(times["login"], times["verification"], strict=True)]
    rows = [
        ("a bare Argon2 verification", times["verification"], None),
        ("login", times["login"], None),
        ("login, beyond its verification", added, 3.0),
        ("refresh", times["refresh"], 5.0),
        ("authorizer", times["authorizer"], 1.0),
    ]
    head = ["warm, in process", "p50 ms", "p95 ms", "aim", ""]
    return table(head, [_cost(*row) for row in rows])


def _cost(name: str, times: Sequence[float], aim_ms: float | None) -> list[str]:
    p50 = median(times)
    kept = ["–", ""] if aim_ms is None else [f"≤ {aim_ms:.0f}", verdict(p50, at_most=aim_ms)]
    return [name, figure(p50, digits=2), figure(quantile(times, 0.95), digits=2), *kept]


def _telling(told: Mapping[str, Mapping[str, list[float]]]) -> str:
    rows = []
    for way, times in told.items():
        area = auc(times["known"], times["unknown"])
        kept = verdict(abs(area - 0.5), at_most=0.06)
        rows.append(
            [way, figure(median(times["known"]), digits=2), figure(median(times["unknown"]), digits=2), figure(area, digits=3), kept]
        )
    return table(["known against unknown", "known p50 ms", "unknown p50 ms", "AUC (aim 0.44–0.56)", ""], rows)


def _child(arguments: list[str], environment: Mapping[str, str]) -> dict[str, list[float]]:
    command = [sys.executable, "-m", "bench.account_calls", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"{' '.join(arguments)}: {done.stderr[-2000:]}")
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=500)
    given = parser.parse_args()
    print(run(rounds=given.rounds, pairs=given.pairs))


if __name__ == "__main__":
    main()
