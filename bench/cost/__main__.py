"""The monthly cost of the stack in both database modes: `python -m bench.cost`; `--write` updates docs/deploy.md.

Prices and assumptions are in `prices.toml`, what a turn uses in `bench/results/footprint.json`, memory sizes, queues,
alarms and the smallest database in the templates. What a model's vendor charges is not included: it is the same wherever
the stack runs.
"""

import argparse
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.harness.documents import with_section
from bench.harness.tables import table, wrapped
from bench.turns.footprint import Footprint
from local.template.source import read_source

ROOT = Path(__file__).parents[2]
PRICES = Path(__file__).with_name("prices.toml")
GUIDE = ROOT / "docs" / "deploy.md"
BEGIN, END = "<!-- bench.cost: begin -->", "<!-- bench.cost: end -->"
HOURS = 730.0
GB = 1e9
MILLION = 1e6

type Mode = Literal["Direct", "Proxy"]


@dataclass(frozen=True)
class Load:
    """A month: its turns, and how often a function starts cold (a key of `cold_share`)."""

    name: str
    turns: int
    cold: str


LOADS = (
    Load("idle", 0, "idle"),
    Load("1,000 turns", 1_000, "few"),
    Load("100,000 turns", 100_000, "some"),
    Load("10 million turns", 10_000_000, "many"),
)


@dataclass(frozen=True)
class StackFacts:
    """What the templates say: memory by function, queues that functions read, alarms, the smallest database."""

    memory_mb: Mapping[str, int]
    queues: int
    alarms: int
    min_acu: float

    @classmethod
    def read(cls, root: Path = ROOT) -> "StackFacts":
        """Return the facts of the checkout."""
        template = read_source(root / "template.yaml").content
        usual = template["Globals"]["Function"]["MemorySize"]
        functions = {
            name: body["Properties"] for name, body in template["Resources"].items() if body["Type"] == "AWS::Serverless::Function"
        }
        events = [event for function in functions.values() for event in function.get("Events", {}).values()]
        alarms = read_source(root / "stacks" / "alarms.yaml").content["Resources"].values()
        return cls(
            memory_mb={name: function.get("MemorySize", usual) for name, function in functions.items()},
            queues=sum(event["Type"] == "SQS" for event in events),
            alarms=sum(body["Type"] in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm") for body in alarms),
            min_acu=float(template["Parameters"]["DatabaseMinAcu"]["Default"]),
        )


def read_prices() -> dict[str, Any]:
    """Return prices and assumptions."""
    return tomllib.loads(PRICES.read_text())


class Estimate:
    """The cost of one month of one load. Every method returns US dollars."""

    def __init__(self, load: Load, *, mode: Mode, footprint: Footprint, facts: StackFacts, prices: Mapping[str, Any]) -> None:
        self._load = load
        self._mode = mode
        self._turn = footprint
        self._facts = facts
        self._prices = prices

    def _price(self, service: str, name: str) -> float:
        return float(self._prices[service][name])

    def _assumed(self, name: str) -> float:
        return float(self._prices["assumptions"][name])

    def rows(self) -> dict[str, float]:
        """Return the amount by service."""
        amounts = {
            "Lambda": self.functions(),
            "API Gateway": self.gateway(),
            "logs, metrics, alarms": self.observability(),
            "queues, secrets, transfer": self.queues() + self.secrets() + self.transfer(),
        }
        if self._mode == "Proxy":
            amounts |= {"Aurora": self.aurora(), "RDS Proxy": self.proxy(), "NAT": self.nat()}
        return amounts

    def functions(self) -> float:
        """A streaming function is billed while it waits for the model; the others for their processor time at their share of a core."""
        gb_seconds = invocations = 0.0
        cold = float(self._prices["assumptions"]["cold_share"][self._load.cold])
        for name, per_turn in self._turn.invocations.items():
            memory_mb = self._facts.memory_mb.get(name)
            if memory_mb is None or not per_turn:
                continue
            share = min(1.0, memory_mb / 1769)
            seconds = self._turn.cpu_ms.get(name, 0.0) / share / 1000 + per_turn * cold * self._assumed("init_cpu_ms") / share / 1000
            if name in ("ChatFunction", "SummarizeFunction"):
                seconds = max(seconds, per_turn * self._turn.turn_ms / 1000)
            gb_seconds += seconds * memory_mb / 1024 * self._load.turns
            invocations += per_turn * self._load.turns
        # The requests around a turn: short, and of the usual memory.
        others = (self._assumed("requests_per_turn") - 1) * self._load.turns
        gb_seconds += others * 0.05 * 0.5
        billed_seconds = max(0.0, gb_seconds - self._price("lambda", "free_gb_seconds"))
        billed_requests = max(0.0, invocations + others - self._price("lambda", "free_requests"))
        return billed_seconds * self._price("lambda", "gb_second_arm") + billed_requests / MILLION * self._price(
            "lambda", "million_requests"
        )

    def gateway(self) -> float:
        started = max(1, -(-int(self._turn.sent_bytes) // int(self._price("api_gateway", "request_megabytes") * MILLION)))
        requests = self._load.turns * (started + self._assumed("requests_per_turn") - 1)
        return requests / MILLION * self._price("api_gateway", "million_requests")

    def observability(self) -> float:
        invocations = sum(self._turn.invocations.values()) + self._assumed("requests_per_turn") - 1
        log_bytes = (
            self._turn.log_bytes
            + invocations * self._assumed("platform_log_bytes")
            + self._assumed("requests_per_turn") * self._assumed("access_log_bytes")
        )
        log_gb = self._load.turns * log_bytes / GB
        # A metric is billed only in hours in which it is sent.
        share = min(1.0, self._load.turns / (HOURS * 4))
        metrics = (
            max(0.0, self._turn.metrics - self._price("cloudwatch", "free_metrics")) * self._price("cloudwatch", "metric_month") * share
        )
        alarms = max(0, self._facts.alarms - self._price("cloudwatch", "free_alarms")) * self._price("cloudwatch", "alarm_month")
        return log_gb * (self._price("cloudwatch", "log_gb") + self._price("cloudwatch", "log_gb_month")) + metrics + alarms

    def queues(self) -> float:
        polls = self._facts.queues * self._price("sqs", "polls_per_hour_and_queue") * HOURS
        sent = sum(self._turn.invocations.get(name, 0.0) for name in ("UpkeepFunction", "SummarizeFunction", "IngestFunction"))
        requests = polls + self._load.turns * sent * 3
        return max(0.0, requests - self._price("sqs", "free_requests")) / MILLION * self._price("sqs", "million_requests")

    def secrets(self) -> float:
        return self._assumed("models_secrets") * self._price("secrets_manager", "secret_month")

    def transfer(self) -> float:
        return max(0.0, self._load.turns * self._turn.sent_bytes / GB - self._price("transfer", "free_gb_out")) * self._price(
            "transfer", "gb_out"
        )

    def acu_hours(self) -> float:
        """The busy hours need the capacity for their processor time; the cluster never falls below its smallest size."""
        core_hours = self._load.turns * self._turn.database_cpu_ms / 1000 / 3600
        busy = core_hours * self._assumed("acu_per_core") / self._assumed("database_utilisation")
        return max(self._facts.min_acu * HOURS, busy)

    def stored_gb(self) -> float:
        """Return the stored GB once the stack has run a year. The log of events is kept a day, so it does not add up."""
        kept = self._turn.stored_bytes - self._turn.event_bytes
        return self._load.turns * (kept * self._assumed("kept_turn_months") + self._turn.event_bytes / 30) / GB

    def aurora(self) -> float:
        writes = self._load.turns * max(self._turn.transactions, self._turn.wal_bytes / self._price("aurora", "io_bytes"))
        storage = self.stored_gb() * (self._price("aurora", "gb_month") + self._price("aurora", "backup_gb_month"))
        return self.acu_hours() * self._price("aurora", "acu_hour") + storage + writes / MILLION * self._price("aurora", "million_io")

    def proxy(self) -> float:
        return max(self.acu_hours(), self._price("rds_proxy", "least_acu") * HOURS) * self._price("rds_proxy", "acu_hour")

    def nat(self) -> float:
        gb = self._load.turns * (self._assumed("model_request_bytes") + self._turn.sent_bytes) / GB
        return HOURS * (self._price("nat", "hour") + self._price("nat", "address_hour")) + gb * self._price("nat", "gb")


def estimate(load: Load, mode: Mode, *, footprint: Footprint, facts: StackFacts, prices: Mapping[str, Any]) -> dict[str, float]:
    """Return the monthly amount by service."""
    return Estimate(load, mode=mode, footprint=footprint, facts=facts, prices=prices).rows()


def report(*, footprint: Footprint, facts: StackFacts, prices: Mapping[str, Any]) -> str:
    """Return the section for the guide: a table a mode, and what it rests on."""
    parts = [_mode_table(mode, footprint=footprint, facts=facts, prices=prices) for mode in ("Direct", "Proxy")]
    ipv6 = Estimate(LOADS[0], mode="Proxy", footprint=footprint, facts=facts, prices=prices).nat()
    basis = f"""\
US dollars a month at list prices of {prices["region"]} ({prices["as_of"]}), with AWS's permanent free tiers deducted and without what a
model's vendor charges. A turn is the measured one: {footprint.tokens} tokens in {footprint.turn_ms / 1000:.1f} s,
{footprint.database_cpu_ms:.0f} ms of the database's processor, {footprint.stored_bytes / 1000:.0f} KB stored. `bench/cost/prices.toml`
lists every price with its page, and every assumption."""
    direct = f"""\
- **Direct.** Nothing in the stack bills by the hour. What remains while nobody chats is Lambda's polling of {facts.queues} queues, one
secret and {facts.alarms} alarms, which `Alarms=off` saves. The provider of your database charges for the database, and every run of a
schedule, once a day by default, wakes a database that pauses."""
    proxy = f"""\
- **Proxy.** RDS Proxy bills at least {prices["rds_proxy"]["least_acu"]} ACU around the clock, the cluster at least `DatabaseMinAcu`,
because the proxy keeps it awake, and the NAT gateway {ipv6:.0f} dollars a month, which `Egress=Ipv6` saves."""
    notes = f"{wrapped(basis)}\n\n{wrapped(direct, indent='  ')}\n{wrapped(proxy, indent='  ')}"
    return "\n\n".join([*parts, notes])


def _mode_table(mode: Mode, *, footprint: Footprint, facts: StackFacts, prices: Mapping[str, Any]) -> str:
    columns = [estimate(load, mode, footprint=footprint, facts=facts, prices=prices) for load in LOADS]
    rows = [[name, *(_dollars(column[name]) for column in columns)] for name in columns[0]]
    rows.append(["**together**", *(f"**{_dollars(sum(column.values()))}**" for column in columns)])
    per_turn = [sum(column.values()) / load.turns if load.turns else None for column, load in zip(columns, LOADS, strict=True)]
    rows.append(["a turn", *("–" if value is None else f"{value:.5f}" for value in per_turn)])
    return f"`DatabaseMode={mode}`:\n\n" + table(["", *(load.name for load in LOADS)], rows)


def _dollars(value: float) -> str:
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def main() -> None:
    """Print the tables, and with `--write` put them into the guide."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"update {GUIDE.relative_to(ROOT)} between its markers")
    args = parser.parse_args()
    section = report(footprint=Footprint.load(), facts=StackFacts.read(), prices=read_prices())
    print(section)
    if args.write:
        GUIDE.write_text(with_section(GUIDE.read_text(), section, begin=BEGIN, end=END))


if __name__ == "__main__":
    main()
