"""Take turns while everything fails at once, then compare all records: `make chaos`.

    python -m tests.chaos.run --turns 5000 --seed 1

Eight clients ask, and upload and delete documents. Meanwhile workers, the database, the pooler, the file store and the whole
stack are killed, the disk fills up, the clock steps, the queues deliver twice and late, the vendor fails, and clients leave.
Each request is repeated with its key until it is answered. Then nothing may be lost, doubled, stuck or charged twice.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from secrets import randbelow
from tempfile import TemporaryDirectory

from bench.harness.tables import table
from tests.chaos.audit import broken_promises
from tests.chaos.clients import Clients
from tests.chaos.clock import SteppingClock
from tests.chaos.faults import PAUSES_S, Faults
from tests.chaos.records import read_records
from tests.chaos.stack import ChaosStack
from tests.chaos.vendor import MODELS, ChaoticVendor
from tests.fakes.vendor import running_vendor

CLIENTS, USERS = 8, 4
DISK_MB = 3000
PROGRESS_S = 10
# Leases, delayed messages, visibility timeouts and reservations expire after a few steps of the clock.
SETTLE_STEP_S = 3600
SETTLE_STEP_EVERY_S = 60
SETTLE_S = 600
KINDS = ("lost", "doubled", "stuck", "charged twice")
SHOWN = 20


def run(stack, vendor, clock, *, seed, turns):
    """Run the clients and the faults, let the stack settle, and return clients, faults and broken promises."""
    faults = Faults(stack, clock, seed=seed)
    for kind, reason in faults.missing.items():
        print(f"not caused: {kind}, because {reason}", flush=True)
    clients = Clients(stack, seed=seed, turns=turns, clients=CLIENTS, users=USERS, is_enough=lambda: faults.have_all_occurred)
    began, printed = time.monotonic(), time.monotonic()
    clients.start()
    faults.start()
    while clients.are_busy:
        stack.revive()
        time.sleep(0.5)
        if time.monotonic() - printed > PROGRESS_S:
            printed = time.monotonic()
            print(f"{printed - began:5.0f} s  {clients.answered} of {turns} turns  {dict(faults.counts)}", flush=True)
    faults.stop()
    stack.revive()
    vendor.is_faulty = False
    return clients, faults, settled(stack, vendor, clock, clients)


def settled(stack, vendor, clock, clients):
    """Give the stack time while it makes progress, and return the broken promises that remain.

    Without progress for a minute, an hour passes on the stack's clock and its schedules run, which ends what is left.
    """
    fewest, changed, stepped = float("inf"), time.monotonic(), 0.0
    while time.monotonic() - changed < SETTLE_S:
        if time.monotonic() - max(changed, stepped) > SETTLE_STEP_EVERY_S or not stepped:
            stepped = time.monotonic()
            pass_an_hour(stack, clock)
        time.sleep(10)
        records = read_records(stack) if stack.is_ready() else None
        if records and not (broken := broken_promises(clients, vendor.books, records)):
            return {}
        left = sum(map(len, broken.values())) + sum(records.waiting.values()) if records else fewest
        if left < fewest:
            fewest, changed = left, time.monotonic()
        print(f"settling: {left} rows, messages and sentences left", flush=True)
    return broken_promises(clients, vendor.books, read_records(stack))


def pass_an_hour(stack, clock):
    """Step the clock by an hour and run the schedules that a day has."""
    if clock.is_available:
        clock.step_to(clock.offset_s + SETTLE_STEP_S)
    for schedule in (stack.status() or {"schedules": []})["schedules"]:
        if "Rotate" not in schedule["name"]:
            stack.fire(schedule["name"])


def report(clients, faults, broken, *, died):
    """Print what happened and what was broken."""
    rows = [[kind, str(faults.counts[kind]) if kind not in faults.missing else "–"] for kind in PAUSES_S]
    print("\n" + table(["fault", "times"], [*rows, ["emulator ended by itself", str(died)]]))
    codes = Counter(code or "no answer" for request in (*clients.questions, *clients.uploads) for code in request.codes)
    print("\n" + table(["answer of an attempt", "times"], [[code, str(number)] for code, number in codes.most_common()]))
    endings = Counter(request.ending for request in clients.questions if request.answer)
    print("\n" + table(["end of a turn", "times"], [[ending, str(number)] for ending, number in endings.most_common()]))
    print("\n" + table(["of the promises", "broken"], [[kind, str(len(broken.get(kind, [])))] for kind in KINDS]))
    for kind, found in broken.items():
        for sentence in found[:SHOWN]:
            print(f"  {kind}: {sentence}")


def main():
    """Run and exit with 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=500)
    parser.add_argument("--seed", type=int, default=None, help="seed of the random choices (default: a new one)")
    parser.add_argument("--keep-log", type=Path, help="copy the stack's terminal output to this file")
    options = parser.parse_args()
    seed = randbelow(1_000_000) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    with TemporaryDirectory(prefix="parley-chaos-") as name, running_vendor() as server:
        folder = Path(name)
        folder.chmod(0o755)  # the database runs as another user
        models, clock = folder / "models.toml", SteppingClock(folder)
        models.write_text(MODELS.format(url=server.url))
        server.script = vendor = ChaoticVendor(seed)
        stack = ChaosStack(folder, models, clock, seed=seed, disk_mb=DISK_MB)
        try:
            stack.start()
            clients, faults, broken = run(stack, vendor, clock, seed=seed, turns=options.turns)
        finally:
            if options.keep_log:
                options.keep_log.write_bytes(stack.log.read_bytes() if stack.log.exists() else b"")
            stack.close()
    report(clients, faults, broken, died=stack.died)
    sys.exit(1 if broken or stack.died else 0)


if __name__ == "__main__":
    main()
