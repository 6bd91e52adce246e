"""The cost of logging in, and whether timing reveals which addresses have an account: `python -m bench.auth.accounts`.

The handlers run warm in a separate process, with the database of a running stack and production's password hashing.
The measure for timing is the area under the ROC curve (AUC) over interleaved pairs of known and unknown addresses. A value
of 0.5 means that the two are indistinguishable; with 500 pairs, its standard error is 0.018.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness.aims import Figure, Section
from bench.harness.servers import ServerFailed
from bench.harness.stack import Users, running_parley, worker_environments
from bench.harness.tables import format_figure, median, quantile, table, verdict

# What is left of the aims if they are not reached.
COUNTED_FIRST = (
    "An attempt is counted before the password is checked, the network gets it back if the password is right, and the session begins: "
    "three transactions with a commit on disk each, in six round trips, as two database roles. Beside them are HTTP and the signature of "
    "the access token."
)
ROUND_TRIPS = "One transaction of two statements with a commit on disk, in five round trips; HTTP; the signature of the access token."

# An AUC further from 0.5 than this reveals something: three standard errors at 500 pairs.
MAX_DISTANCE = 0.06
VERIFICATION_BY_REQUEST = {"login": "off", "register": "on", "forgot": "off"}


def run(*, rounds: int, pairs: int) -> Section:
    """Measure everything and return the tables."""
    with TemporaryDirectory(prefix="parley-bench-") as name, running_parley(Path(name)) as server:
        token = Users(server, 1).tokens()[0]
        handlers = [f"functions.{name}.app.handler" for name in ("auth", "authorizer")]
        auth, authorizer = worker_environments(server, handlers).values()
        times = _run_handler_calls(["calls", "--rounds", str(rounds)], auth)
        times |= _run_handler_calls(["authorizations", "--rounds", str(rounds * 10), "--token", token], authorizer)
        times_by_request = _enumeration_times(auth, pairs)
    text = "\n\n".join(["## Accounts", _cost_table(times), _enumeration_table(times_by_request)])
    login, refresh = median(_beyond_hash(times)), median(times["refresh"])
    return Section(
        text,
        [
            Figure("login beyond its hash", login, "ms", at_most=5, reason=COUNTED_FIRST),
            Figure("refresh", refresh, "ms", at_most=4, reason=ROUND_TRIPS),
        ],
    )


def revealing_requests(*, pairs: int) -> dict[str, float]:
    """Return the requests whose time reveals whether an address has an account, with their AUC. Measures nothing else."""
    with TemporaryDirectory(prefix="parley-bench-") as name, running_parley(Path(name)) as server:
        (auth,) = worker_environments(server, ["functions.auth.app.handler"]).values()
        times_by_request = _enumeration_times(auth, pairs)
    areas = {request: auc(times["known"], times["unknown"]) for request, times in times_by_request.items()}
    print("; ".join(f"{request}: AUC {area:.3f}" for request, area in areas.items()))
    return {request: area for request, area in areas.items() if abs(area - 0.5) > MAX_DISTANCE}


def _enumeration_times(auth: Mapping[str, str], pairs: int) -> dict[str, dict[str, list[float]]]:
    times_by_request = {}
    for request, verification in VERIFICATION_BY_REQUEST.items():
        print(f"accounts: {pairs} pairs of {request}", file=sys.stderr, flush=True)
        environment = dict(auth) | {"PARLEY_EMAIL_VERIFICATION": verification}
        times_by_request[request] = _run_handler_calls([request, "--rounds", str(pairs)], environment)
    return times_by_request


def _beyond_hash(times: Mapping[str, list[float]]) -> list[float]:
    """Return each login's time without that of the bare verification after it."""
    return [login - bare for login, bare in zip(times["login"], times["verification"], strict=True)]


def auc(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Return the area under the ROC curve: the share of pairs whose positive is above the negative, with ties counted as half."""
    above = sum((p > n) + (p == n) / 2 for p in positives for n in negatives)
    return above / (len(positives) * len(negatives))


def _cost_table(times: Mapping[str, list[float]]) -> str:
    rows = [
        ("a bare Argon2 verification", times["verification"], None),
        ("login", times["login"], None),
        ("login, beyond its verification", _beyond_hash(times), 5.0),
        ("refresh", times["refresh"], 4.0),
        ("authorizer", times["authorizer"], 1.0),
    ]
    head = ["warm, in process", "p50 ms", "p95 ms", "aim", ""]
    return table(head, [_cost_row(*row) for row in rows])


def _cost_row(name: str, times: Sequence[float], aim_ms: float | None) -> list[str]:
    p50 = median(times)
    aim_cells = ["–", ""] if aim_ms is None else [f"≤ {aim_ms:.0f}", verdict(p50, at_most=aim_ms)]
    return [name, format_figure(p50, digits=2), format_figure(quantile(times, 0.95), digits=2), *aim_cells]


def _enumeration_table(times_by_request: Mapping[str, Mapping[str, list[float]]]) -> str:
    rows = []
    for request, times in times_by_request.items():
        area = auc(times["known"], times["unknown"])
        result = verdict(abs(area - 0.5), at_most=MAX_DISTANCE)
        rows.append(
            [
                request,
                format_figure(median(times["known"]), digits=2),
                format_figure(median(times["unknown"]), digits=2),
                format_figure(area, digits=3),
                result,
            ]
        )
    return table(["known against unknown", "known p50 ms", "unknown p50 ms", "AUC (aim 0.44–0.56)", ""], rows)


def _run_handler_calls(arguments: list[str], environment: Mapping[str, str]) -> dict[str, list[float]]:
    command = [sys.executable, "-m", "bench.auth.handler_calls", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"{' '.join(arguments)}: {done.stderr[-2000:]}")
    times: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return times


def main() -> str | None:
    """Measure and print. Return what timing reveals, if it was asked for and reveals anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--timing-only", action="store_true", help="fail if timing reveals which addresses have an account")
    args = parser.parse_args()
    if args.timing_only:
        found = revealing_requests(pairs=args.pairs)
        return f"timing reveals who has an account: {found}" if found else None
    print(run(rounds=args.rounds, pairs=args.pairs).text)
    return None


if __name__ == "__main__":
    sys.exit(main())
