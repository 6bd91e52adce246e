"""What one streamed turn uses of each service: `python -m bench.turns.footprint`, for `bench.cost` and `bench.scale`. Linux only.

The stack answers several users at a real model's pace, several turns a conversation, and its counters are read before and
after: processor time of each function's workers and of PostgreSQL, invocations, transactions, WAL, stored bytes, log bytes,
bytes sent to the client. `--save` writes `bench/results/footprint.json`, which the other two read.
"""

import argparse
import http.client
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from bench.harness import machine, processes
from bench.harness.servers import HOST, Server, ServerFailed, call, free_port, running_server
from bench.harness.stack import Users, running_parley
from bench.harness.tables import format_figure, table

RESULT = Path(__file__).parent.parent / "results" / "footprint.json"

_MODELS = """
[roles]
chat = "fake"
summary = "fake"
facts = "fake"
title = "fake"
embedding = "builtin"

[models.builtin]
provider = "builtin"
name = "all-MiniLM-L6-v2"
kind = "embedding"
dimensions = 384

[models.fake]
provider = "openai-compatible"
name = "fake"
base_url = "{upstream}"
"""
_SETTLE_S = 30.0
_EVENTS = "SELECT count(*) FROM turn_events"
_OLD_EVENTS = """
INSERT INTO turn_events (user_id, turn_id, number, name, data, at)
SELECT user_id, id, 1000 + n, 'text.delta', jsonb_build_object('text', repeat('some words ', 20)), now() - interval '26 hours'
  FROM (SELECT user_id, id FROM turns LIMIT 40) t, generate_series(1, 5000) n
"""
_SWEEP = "DELETE FROM turn_events WHERE at < now() - interval '25 hours'"
_TABLES = "SELECT relname, pg_total_relation_size(relid) FROM pg_stat_user_tables"
_COUNTERS = (
    "SELECT xact_commit, pg_database_size(datname), pg_current_wal_insert_lsn() - '0/0' FROM pg_stat_database WHERE datname = 'parley'"
)


@dataclass(frozen=True)
class Footprint:
    """Means per turn. Processor times are those of this machine's cores; `turn_ms` is the median of a whole turn."""

    measured: str
    turns: int
    tokens: int
    turn_ms: float
    first_token_ms: float
    cpu_ms: dict[str, float]
    invocations: dict[str, float]
    database_cpu_ms: float
    transactions: float
    wal_bytes: float
    stored_bytes: float
    event_bytes: float
    event_rows: float
    event_deletions_per_s: float
    log_bytes: float
    sent_bytes: float
    metrics: int

    @classmethod
    def load(cls, path: Path = RESULT) -> "Footprint":
        """Return the saved result."""
        return cls(**json.loads(path.read_text()))


@dataclass(frozen=True)
class _Counters:
    """The totals at one moment."""

    cpu_ms: dict[str, float]
    invocations: dict[str, int]
    database_cpu_ms: float
    transactions: int
    stored_bytes: int
    wal_bytes: int
    table_bytes: dict[str, int]
    event_rows: int
    log_bytes: int


@dataclass(frozen=True)
class _Turn:
    elapsed_ms: float
    first_token_ms: float
    sent_bytes: int
    conversation_id: str


def measure(*, users: int, turns_each: int, tokens: int, per_second: float) -> Footprint:
    """Run `users` times `turns_each` turns, after a round that warms every worker, and return the means."""
    with TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        port = free_port()
        command = [sys.executable, "-m", "bench.harness.fake_model", "--port", str(port)]
        command += ["--tokens", str(tokens), "--per-second", str(per_second)]
        with running_server(command, port=port, log=folder / "model.log") as model:
            upstream = f"{model.url}/v1"
            parameters = ["AnswersPerUser=100", "MonthlyBudgetUsd=100000"]
            with running_parley(folder, upstream=upstream, models=_MODELS, parameters=parameters) as server:
                return _measure(server, folder / "data", users=users, turns_each=turns_each, tokens=tokens)


def _measure(server: Server, data: Path, *, users: int, turns_each: int, tokens: int) -> Footprint:
    sessions = Users(server, users)
    keys = sessions.tokens()
    _converse_all(server, keys, turns=1)
    # Follow-up work (titles, facts, passages) is part of a turn's use: wait for it before each reading.
    time.sleep(_SETTLE_S)
    before = _read(server, data)
    turns = _converse_all(server, keys, turns=turns_each)
    time.sleep(_SETTLE_S)
    after = _read(server, data)
    count = len(turns)
    return Footprint(
        measured=machine.header(),
        turns=count,
        tokens=tokens,
        turn_ms=_median([turn.elapsed_ms for turn in turns]),
        first_token_ms=_median([turn.first_token_ms for turn in turns]),
        cpu_ms={name: (after.cpu_ms[name] - before.cpu_ms.get(name, 0)) / count for name in sorted(after.cpu_ms)},
        invocations={name: (after.invocations[name] - before.invocations.get(name, 0)) / count for name in sorted(after.invocations)},
        database_cpu_ms=(after.database_cpu_ms - before.database_cpu_ms) / count,
        transactions=(after.transactions - before.transactions) / count,
        wal_bytes=(after.wal_bytes - before.wal_bytes) / count,
        stored_bytes=(after.stored_bytes - before.stored_bytes) / count,
        event_bytes=(after.table_bytes["turn_events"] - before.table_bytes["turn_events"]) / count,
        event_rows=(after.event_rows - before.event_rows) / count,
        event_deletions_per_s=_deletion_rate(server, data),
        log_bytes=(after.log_bytes - before.log_bytes) / count,
        sent_bytes=sum(turn.sent_bytes for turn in turns) / count,
        metrics=_metrics(data),
    )


def _converse_all(server: Server, keys: list[str], *, turns: int) -> list[_Turn]:
    with ThreadPoolExecutor(len(keys)) as pool:
        return [turn for conversation in pool.map(lambda key: _converse(server, key, turns), keys) for turn in conversation]


def _converse(server: Server, key: str, turns: int) -> list[_Turn]:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=120)
    taken: list[_Turn] = []
    for number in range(turns):
        question = {"message": f"Question {number}: what would a person ask here, in a sentence or two of ordinary length?", "stream": True}
        taken.append(_take_turn(connection, key, question | ({"conversation_id": taken[-1].conversation_id} if taken else {})))
    connection.close()
    return taken


def _take_turn(connection: http.client.HTTPConnection, key: str, body: dict[str, Any]) -> _Turn:
    began = time.perf_counter()
    connection.request("POST", "/chat", json.dumps(body), {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise ServerFailed(f"a turn failed with status {answer.status}: {answer.read()[:500].decode(errors='replace')}")
    received, first_ms, conversation_id, last_event = 0, 0.0, "", ""
    for line in answer:
        received += len(line)
        if line.startswith(b"event: "):
            last_event = line[7:].strip().decode()
        if last_event == "text.delta" and not first_ms:
            first_ms = (time.perf_counter() - began) * 1000
        if last_event == "turn.started" and line.startswith(b"data: "):
            conversation_id = str(json.loads(line[6:])["conversation_id"])
    if last_event != "turn.completed":
        raise ServerFailed(f"a turn ended with the event {last_event!r}")
    return _Turn((time.perf_counter() - began) * 1000, first_ms, received, conversation_id)


def _read(server: Server, data: Path) -> _Counters:
    status = call(server, "GET", "/_local/status")[1]
    names = {function["handler"]: function["name"] for function in status["functions"]}
    cpu: dict[str, float] = {}
    for pid in processes.tree(server.pid):
        handler = processes.environment(pid).get("_HANDLER", "")
        if handler in names:
            cpu[names[handler]] = cpu.get(names[handler], 0.0) + (processes.cpu_ms([pid]) or 0.0)
    postgres = status["services"]["postgres"]
    with _superuser(postgres["port"], data) as connection:
        transactions, stored, wal = connection.execute(_COUNTERS).fetchone() or (0, 0, 0)
        tables: dict[str, int] = dict(connection.execute(_TABLES).fetchall())
        events = connection.execute(_EVENTS).fetchone() or (0,)
    return _Counters(
        cpu_ms=cpu,
        invocations={function["name"]: function["invocations"] for function in status["functions"]},
        database_cpu_ms=processes.cpu_ms(processes.tree(postgres["pid"])) or 0.0,
        transactions=transactions,
        stored_bytes=stored,
        wal_bytes=int(wal),
        table_bytes=tables,
        event_rows=events[0],
        log_bytes=sum(path.stat().st_size for path in (data / "logs").glob("*Function.log")),
    )


def _superuser(port: int, data: Path) -> psycopg.Connection:
    password = json.loads((data / "secrets.json").read_text())["postgres"]
    return psycopg.connect(host=HOST, port=port, user="postgres", password=password, dbname="parley")


def _deletion_rate(server: Server, data: Path) -> float:
    """Return the expired events that the sweep's statement deletes a second, from a log as long as it grows in some hours."""
    port = call(server, "GET", "/_local/status")[1]["services"]["postgres"]["port"]
    with _superuser(port, data) as connection:
        connection.execute(_OLD_EVENTS)
        connection.commit()
        began = time.perf_counter()
        deleted = connection.execute(_SWEEP).rowcount
        connection.commit()
        return deleted / (time.perf_counter() - began)


def _metrics(data: Path) -> int:
    """Return how many metrics CloudWatch would bill: distinct names and dimensions of all lines in the embedded metric format."""
    found: set[tuple[str, ...]] = set()
    for path in (data / "logs").glob("*Function.log"):
        for line in path.read_text(errors="replace").splitlines():
            if not line.startswith('{"_aws"'):
                continue
            fields = json.loads(line)
            for directive in fields["_aws"]["CloudWatchMetrics"]:
                for dimensions in directive["Dimensions"]:
                    values = tuple(f"{name}={fields.get(name)}" for name in dimensions)
                    found |= {(directive["Namespace"], metric["Name"], *values) for metric in directive["Metrics"]}
    return len(found)


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def report(footprint: Footprint) -> str:
    """Return the table."""
    rows = [
        ["turn, ms", format_figure(footprint.turn_ms, digits=0)],
        ["first token, ms", format_figure(footprint.first_token_ms, digits=0)],
        *([f"{name}: CPU ms", format_figure(value)] for name, value in footprint.cpu_ms.items() if value >= 0.05),
        *([f"{name}: invocations", format_figure(value, digits=2)] for name, value in footprint.invocations.items() if value),
        ["PostgreSQL: CPU ms", format_figure(footprint.database_cpu_ms)],
        ["PostgreSQL: transactions", format_figure(footprint.transactions)],
        ["WAL, KB", format_figure(footprint.wal_bytes / 1000)],
        ["stored, KB", format_figure(footprint.stored_bytes / 1000)],
        ["of which events of the turn, kept a day, KB", format_figure(footprint.event_bytes / 1000)],
        ["events of the turn, rows", format_figure(footprint.event_rows)],
        ["expired events that the sweep deletes a second", format_figure(footprint.event_deletions_per_s, digits=0)],
        ["log lines of functions, KB", format_figure(footprint.log_bytes / 1000)],
        ["metrics, in all", str(footprint.metrics)],
        ["sent to the client, KB", format_figure(footprint.sent_bytes / 1000)],
    ]
    head = f"## A turn of {footprint.tokens} tokens\n\n{footprint.measured}\n- means of {footprint.turns} turns\n\n"
    return head + table(["", "a turn"], rows)


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=6)
    parser.add_argument("--turns", type=int, default=10, help="turns of each user, in one conversation")
    parser.add_argument("--tokens", type=int, default=300)
    parser.add_argument("--per-second", type=float, default=60.0)
    parser.add_argument("--save", action="store_true", help=f"write {RESULT}")
    args = parser.parse_args()
    footprint = measure(users=args.users, turns_each=args.turns, tokens=args.tokens, per_second=args.per_second)
    print(report(footprint))
    if args.save:
        RESULT.write_text(json.dumps(asdict(footprint), indent=1) + "\n")


if __name__ == "__main__":
    main()
