"""What saturates first on the way to a million users: `python -m bench.scale`; `--write` updates docs/scale.md.

The table of stations is arithmetic: demand of a measured turn over capacity. The simulation adds what arithmetic misses:
bursts, queues and the order in which requests are refused.
"""

import argparse
from pathlib import Path

from bench.harness.documents import with_section
from bench.harness.tables import table, wrapped
from bench.scale.simulation import Outcome, Simulation
from bench.scale.stations import PARAMETERS, ROOT, Assumptions, Setup, Station, stations
from bench.turns.footprint import Footprint

GUIDE = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- bench.scale: begin -->", "<!-- bench.scale: end -->"
STEPS = (1_000, 10_000, 100_000, 300_000, 1_000_000)
# As the guide recommends for a million users.
RAISED = Setup(throttle_per_s=1_000, throttle_burst=2_000, max_acu=32, follow_up_concurrency=100)
_SECONDS = 300.0


def users_at(rate: float, assumptions: Assumptions) -> float:
    """Return the users whose busiest hour has `rate` turns a second."""
    return rate / assumptions.peak_turns_per_s(1)


def capacity_table(turn: Footprint, assumptions: Assumptions) -> str:
    """Return each station's limit in users, with the template's defaults and with the raised setup."""
    rows = []
    for default, raised in zip(*(stations(turn, setup, assumptions) for setup in (Setup.defaults(), RAISED)), strict=True):
        users = [_round_users(users_at(station.saturating_rate(), assumptions)) for station in (default, raised)]
        rows.append([default.name, _number(default.capacity), _number(default.demand), users[0], users[1], default.remedy])
    return table(["station", "capacity", "a turn uses", "full at users", "raised", "remedy"], rows)


def first_to_saturate(turn: Footprint, setup: Setup, assumptions: Assumptions) -> Station:
    """Return the station that fills up first."""
    return min(stations(turn, setup, assumptions), key=lambda station: station.saturating_rate())


def simulation_table(turn: Footprint, assumptions: Assumptions, *, setup: Setup, seconds: float = _SECONDS) -> str:
    """Return what a simulated busiest hour does at each step, a few minutes of it."""
    rows = []
    for users in STEPS:
        rate = assumptions.peak_turns_per_s(users)
        outcome = Simulation(turn, setup, assumptions, turns_per_s=rate).run(seconds)
        used = [(station.utilisation(rate), station.name) for station in stations(turn, setup, assumptions)]
        rows.append([f"{users:,}", f"{rate:.2f}", *_figures(outcome), f"{max(used)[1]} ({max(used)[0]:.0%})"])
    head = ["users", "turns/s", "refused", "waits p50 ms", "p99 ms", "executions", "jobs behind", "fullest station"]
    return table(head, rows)


def _figures(outcome: Outcome) -> list[str]:
    refused = outcome.refused / max(1, outcome.offered)
    waits = [f"{outcome.wait_s(share) * 1000:,.0f}" for share in (0.5, 0.99)]
    return [f"{refused:.1%}", *waits, f"{outcome.busiest_executions:,}", f"{outcome.follow_up_waiting:,}"]


def growth_table(turn: Footprint, assumptions: Assumptions) -> str:
    """Return what a year of turns stores, and what a search costs by then."""
    rows = []
    kept = turn.stored_bytes - turn.event_bytes
    for users in STEPS:
        turns = assumptions.turns_per_day(users) * 365
        vectors = turns * assumptions.passages_per_turn * assumptions.passage_bytes
        events = assumptions.turns_per_day(users) * turn.event_bytes
        own = assumptions.turns_per_active_user * 365 * assumptions.active_share * assumptions.passages_per_turn
        search_ms = own / 1000 * assumptions.search_cpu_ms_per_1000
        rows.append([f"{users:,}", _size(turns * kept), _size(vectors), _size(events), f"{own:,.0f}", f"{search_ms:.1f}"])
    return table(["users", "turns, a year", "vectors, a year", "log of events, a day", "passages a user", "search, CPU ms"], rows)


def report(turn: Footprint, assumptions: Assumptions) -> str:
    """Return the section for the guide."""
    first = first_to_saturate(turn, Setup.defaults(), assumptions)
    after = first_to_saturate(turn, RAISED, assumptions)
    raised = ", ".join(f"`{parameter}` {getattr(RAISED, name):g}" for name, parameter in PARAMETERS.items())
    basis = f"""\
One measured turn: {turn.tokens} tokens in {turn.turn_ms / 1000:.1f} s, {turn.database_cpu_ms:.0f} ms of the database's processor,
{turn.transactions:.0f} transactions, {turn.wal_bytes / 1000:.0f} KB of WAL, {turn.event_rows:.0f} rows in the log of events. With the
template's defaults, *{first.name}* fills first. Raised ({raised}), *{after.name}* does."""
    parts = [
        "### Where each station is full",
        wrapped(basis),
        capacity_table(turn, assumptions),
        "### The busiest hour, simulated",
        "With the template's defaults:",
        simulation_table(turn, assumptions, setup=Setup.defaults()),
        "Raised:",
        simulation_table(turn, assumptions, setup=RAISED),
        "### What a year stores",
        growth_table(turn, assumptions),
    ]
    return "\n\n".join(parts)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.3g}"


def _round_users(value: float) -> str:
    digits = len(str(int(value)))
    return f"{round(value, 2 - digits):,.0f}"


def _size(value: float) -> str:
    for unit in ("MB", "GB"):
        value /= 1e6 if unit == "MB" else 1e3
        if value < 1000:
            return f"{value:,.1f} {unit}"
    return f"{value / 1e3:,.1f} TB"


def main() -> None:
    """Simulate and print; with `--write` put the section into the guide."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"update {Path('docs/scale.md')} between its markers")
    args = parser.parse_args()
    section = report(Footprint.load(), Assumptions.load())
    print(section)
    if args.write:
        GUIDE.write_text(with_section(GUIDE.read_text(), f"\n{section}\n", begin=BEGIN, end=END))


if __name__ == "__main__":
    main()
