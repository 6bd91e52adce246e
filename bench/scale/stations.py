"""The stations that a turn passes, their capacity, and the demand that one turn puts on each."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from bench.turns.footprint import Footprint
from local.template.source import read_source

ROOT = Path(__file__).parents[2]
ASSUMPTIONS = Path(__file__).with_name("assumptions.toml")


@dataclass(frozen=True)
class Assumptions:
    """What `assumptions.toml` says about users and about AWS."""

    active_share: float
    turns_per_active_user: float
    peak_hour_share: float
    requests_per_turn: float
    lambda_concurrency: int
    acu_per_core: float
    connections_per_acu: float
    most_connections: int
    transaction_hold_ms: float
    follow_up_ms: float
    sweep_s: float
    commits_per_s: float
    wal_mb_per_s: float
    passages_per_turn: float
    passage_bytes: float
    search_cpu_ms_per_1000: float
    memory_bytes_per_acu: float

    @classmethod
    def load(cls) -> "Assumptions":
        """Return the file's values."""
        return cls(**tomllib.loads(ASSUMPTIONS.read_text()))

    def peak_turns_per_s(self, users: int) -> float:
        """Return the arrivals of the busiest hour."""
        return users * self.active_share * self.turns_per_active_user * self.peak_hour_share / 3600

    def turns_per_day(self, users: int) -> float:
        return users * self.active_share * self.turns_per_active_user


# The template's parameter for each field of `Setup`.
PARAMETERS = {
    "throttle_per_s": "ThrottlePerSecond",
    "throttle_burst": "ThrottleBurst",
    "max_acu": "DatabaseMaxAcu",
    "follow_up_concurrency": "SummarizeConcurrency",
}


@dataclass(frozen=True)
class Setup:
    """The deployment's own limits: parameters of the template, at their defaults or raised."""

    throttle_per_s: float
    throttle_burst: int
    max_acu: float
    follow_up_concurrency: int

    @classmethod
    def defaults(cls) -> "Setup":
        """Return the template's values."""
        template = read_source(ROOT / "template.yaml").content
        parameters = {name: body.get("Default") for name, body in template["Parameters"].items()}
        return cls(
            throttle_per_s=float(parameters[PARAMETERS["throttle_per_s"]]),
            throttle_burst=int(parameters[PARAMETERS["throttle_burst"]]),
            max_acu=float(parameters[PARAMETERS["max_acu"]]),
            follow_up_concurrency=int(parameters[PARAMETERS["follow_up_concurrency"]]),
        )


@dataclass(frozen=True)
class Station:
    """A resource. `demand` is what one turn uses, in units of `capacity` times seconds, or in units per turn if it is a rate.

    A turn a second uses `demand / capacity` of the station.
    """

    name: str
    capacity: float
    demand: float
    remedy: str

    def utilisation(self, turns_per_s: float) -> float:
        return turns_per_s * self.demand / self.capacity

    def saturating_rate(self, at: float = 1.0) -> float:
        """Return the turns a second at which the station is used to the share `at`."""
        return at * self.capacity / self.demand


def cores(setup: Setup, assumptions: Assumptions) -> float:
    """Return the writer's cores."""
    return setup.max_acu / assumptions.acu_per_core


def connections(setup: Setup, assumptions: Assumptions) -> int:
    """Return the server connections that the proxy may open."""
    return int(min(assumptions.most_connections, setup.max_acu * assumptions.connections_per_acu) * 0.9)


def stations(turn: Footprint, setup: Setup, assumptions: Assumptions) -> list[Station]:
    """Return every station that the steady state can saturate, at one turn's demand."""
    busy_s = {name: turn.cpu_ms.get(name, 0.0) / 1000 / 0.29 for name in turn.invocations}
    chat_s = turn.turn_ms / 1000
    others_s = sum(seconds for name, seconds in busy_s.items() if name != "ChatFunction")
    follow_up_s = turn.invocations.get("SummarizeFunction", 0.0) * assumptions.follow_up_ms / 1000
    per_day = 86_400
    return [
        Station(
            "gateway throttle, requests/s",
            setup.throttle_per_s,
            assumptions.requests_per_turn,
            "`ThrottlePerSecond`, to the account's 10,000",
        ),
        Station(
            "Lambda, concurrent executions", assumptions.lambda_concurrency, chat_s + others_s + follow_up_s, "a quota: ask AWS for more"
        ),
        Station("follow-up work, concurrent jobs", setup.follow_up_concurrency, follow_up_s, "`SummarizeConcurrency`"),
        Station("writer, cores", cores(setup, assumptions), turn.database_cpu_ms / 1000, "`DatabaseMaxAcu`, to 256"),
        Station(
            "proxy, connections",
            connections(setup, assumptions),
            turn.transactions * assumptions.transaction_hold_ms / 1000,
            "`DatabaseMaxAcu`: connections follow memory",
        ),
        Station("commits/s", assumptions.commits_per_s, turn.transactions, "fewer ticks a turn, or shards"),
        Station("WAL, MB/s", assumptions.wal_mb_per_s, turn.wal_bytes / 1e6, "shards"),
        Station(
            "log of events, rows a day in one sweep",
            turn.event_deletions_per_s * assumptions.sweep_s,
            # The peak hour's rate is above the day's mean.
            turn.event_rows * per_day / (24 * assumptions.peak_hour_share),
            "sweep more often (`UpkeepInterval`), or one partition a day",
        ),
    ]
