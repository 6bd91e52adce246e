"""Where the processor time of a turn goes: by process, and by SQL statement. `python -m bench.turns.profile`; Linux only.

    python -m bench.turns.profile --turns 200 --follow-up 150 --write-docs

Every turn is whole and begins a conversation, with memory and limits on and without tools: the case with the most follow-up work. Facts
are extracted 15 seconds after a turn; a `--follow-up` of less than 40 seconds leaves that out.
"""

import argparse
import importlib
import json
import pkgutil
import re
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from sqlalchemy import TextClause

import parley.db
from bench.harness import machine, processes
from bench.harness.aims import Figure, Section
from bench.harness.documents import DOCS, documented_section
from bench.harness.servers import Server
from bench.harness.stack import ChatClient, Users, running_parley
from bench.harness.tables import format_figure, table
from bench.turns import targets
from local.services.database import DATABASE_NAME
from local.services.postgres import SUPERUSER

_WARM_UP_TURNS = 25
_IDLE_S = 10.0
_BODY: dict[str, object] = {"message": targets.QUESTION, "tools": False}
_PHASES = ("parse", "bind", "execute")
_LOGGED = re.compile(
    r"LOG:  duration: (?P<ms>[\d.]+) ms  (?P<phase>parse|bind|execute) [^:]*: (?P<sql>.*?)(?=^\d{4}-\d\d-\d\d |\Z)", re.S | re.M
)
_SHORT_SQL = 60
_PATIENCE_S = 60.0


@dataclass
class StatementTimes:
    """The durations of a statement's phases in milliseconds, as PostgreSQL logs them."""

    phases: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def ms_per_turn(self, phase: str, turns: int) -> float:
        """Return the median duration of a phase, times its number per turn."""
        durations = self.phases[phase]
        return statistics.median(durations) * len(durations) / turns if durations else 0.0


def run(*, turns: int, follow_up_s: float) -> Section:
    """Measure and return the tables and figures."""
    with TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        with targets.upstream(folder) as fake, running_parley(folder, upstream=f"{fake.server.url}/v1") as server:
            users = Users(server, 1)
            _take_turns(users, _WARM_UP_TURNS)
            idle, by_process = _measure_processes(users, turns=turns, follow_up_s=follow_up_s)
            statements = _measure_statements(folder / "data", users, turns=turns)
    text = f"## The cost of a turn\n\n{_process_table(by_process, turns)}\n\n{_statement_table(statements, turns)}"
    chat_ms = sum(by_process.get("chat", ())) / turns
    all_ms = sum(map(sum, by_process.values())) / turns
    figures = [
        Figure("CPU of the chat function, a whole turn", chat_ms, "ms", at_most=12),
        Figure("CPU of all processes, a turn and its follow-up", all_ms, "ms", at_most=45),
        Figure("idle CPU of the local stack, of a core", sum(idle.values()) / 10, "%", at_most=1),
    ]
    return Section(text, figures, marker="profile")


def _take_turns(users: Users, turns: int) -> None:
    """Take turns one after the other. A refused turn is repeated: a follow-up job that was starved may have opened the model's circuit."""
    with ChatClient(users.server, users.tokens()[0]) as client:  # the emulator closes a connection that is idle between two phases
        for _ in range(turns):
            client.ask(_BODY, patience_s=_PATIENCE_S)


def _measure_processes(users: Users, *, turns: int, follow_up_s: float) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return each program's processor time: in ms per idle second, and in ms during the turns and the follow-up without the idle time."""
    time.sleep(follow_up_s)  # the follow-up of the warm-up, which would count as idle time
    before_idle = _cpu_by_program(users.server)
    time.sleep(_IDLE_S)
    began_s, before = time.monotonic(), _cpu_by_program(users.server)
    idle = {program: ms / _IDLE_S for program, ms in _increase(before_idle, before).items()}
    _take_turns(users, turns)
    taken_s, taken = time.monotonic() - began_s, _cpu_by_program(users.server)
    print(f"{turns} turns in {taken_s:.0f} s; the follow-up takes {follow_up_s:.0f} s", file=sys.stderr, flush=True)
    time.sleep(follow_up_s)
    followed_s, followed = time.monotonic() - began_s - taken_s, _cpu_by_program(users.server)
    during, after = _increase(before, taken), _increase(taken, followed)
    return idle, {
        program: (
            during.get(program, 0.0) - idle.get(program, 0.0) * taken_s,
            after.get(program, 0.0) - idle.get(program, 0.0) * followed_s,
        )
        for program in during | after
    }


def _cpu_by_program(server: Server) -> dict[str, float]:
    """Return the processor time so far of each program of the stack: a function's workers, or a service with its children."""
    totals: dict[str, float] = defaultdict(float)
    for pid in processes.tree(server.pid):
        totals[_program(pid)] += processes.cpu_ms([pid]) or 0.0
    return totals


def _program(pid: int) -> str:
    if handler := processes.environment(pid).get("_HANDLER"):
        return handler.removeprefix("functions.").removesuffix(".app.handler")
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return "ended"
    names = {"postgres": "PostgreSQL", "fake_aws": "AWS stand-in", "cli up": "emulator"}
    return next((name for word, name in names.items() if word in command), command[:_SHORT_SQL])


def _increase(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {program: ms - before.get(program, 0.0) for program, ms in after.items()}


def _process_table(by_process: Mapping[str, tuple[float, float]], turns: int) -> str:
    rows = [
        [program, *(format_figure(ms / turns) for ms in (during, after, during + after))]
        for program, (during, after) in sorted(by_process.items(), key=lambda item: -sum(item[1]))
        if max(abs(during), abs(after)) / turns >= 0.05
    ]
    totals = [sum(part) / turns for part in zip(*by_process.values(), strict=True)]
    rows.append(["all", *map(format_figure, (*totals, sum(totals)))])
    return table(["CPU, ms per turn", "turn", "follow-up", "both"], rows)


def _measure_statements(data: Path, users: Users, *, turns: int) -> dict[str, StatementTimes]:
    """Log every statement while turns are taken, and return the durations by statement."""
    log = data / "logs" / "postgres.log"
    with _logged_statements(data):
        start = log.stat().st_size
        _take_turns(users, turns)
    with log.open(errors="replace") as file:
        file.seek(start)
        return parse_log(file.read())


@contextmanager
def _logged_statements(data: Path) -> Iterator[None]:
    password = json.loads((data / "secrets.json").read_text())[SUPERUSER]
    port = int((data / "postgres" / "postmaster.pid").read_text().splitlines()[3])
    where = {"host": "127.0.0.1", "port": port, "user": SUPERUSER, "password": password, "dbname": DATABASE_NAME}
    with psycopg.connect(**where, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET log_min_duration_statement = 0")
        connection.execute("SELECT pg_reload_conf()")
        time.sleep(1)
        yield
        connection.execute("ALTER SYSTEM RESET log_min_duration_statement")
        connection.execute("SELECT pg_reload_conf()")


def parse_log(text: str) -> dict[str, StatementTimes]:
    """Return the durations that PostgreSQL logged, by the statement's name in `parley.db` or else by its beginning."""
    names = _statement_names()
    found: dict[str, StatementTimes] = defaultdict(StatementTimes)
    for entry in _LOGGED.finditer(text):
        sql = _normalized(entry["sql"].partition("\tDETAIL:")[0])
        found[names.get(sql, sql[:_SHORT_SQL])].phases[entry["phase"]].append(float(entry["ms"]))
    return found


def _statement_names() -> dict[str, str]:
    """Return the names of the statements that `parley.db` keeps as constants, by their normalized SQL."""
    names: dict[str, str] = {}
    for module in pkgutil.walk_packages(parley.db.__path__, "parley.db."):
        if ".migrations" in module.name:
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, TextClause):
                names[_normalized(value.text)] = f"{module.name.removeprefix('parley.db.')} {name.strip('_').lower()}"
    return names


def _normalized(sql: str) -> str:
    """Return SQL with its parameters and their casts as `?`, on one line."""
    one_line = " ".join(sql.split())
    return re.sub(r"(?:\$\d+|(?<!:):[a-z]\w*)(?:::[\w\[\]]+)?", "?", one_line)


def _statement_table(statements: Mapping[str, StatementTimes], turns: int) -> str:
    counts = Counter({name: len(times.phases["execute"]) for name, times in statements.items()})
    rows = []
    for name, times in sorted(statements.items(), key=lambda item: -sum(item[1].ms_per_turn(phase, turns) for phase in _PHASES)):
        figures = [times.ms_per_turn(phase, turns) for phase in _PHASES]
        if sum(figures) >= 0.02:
            rows.append([name, f"{counts[name] / turns:.1f}", *(format_figure(ms, digits=2) for ms in (*figures, sum(figures)))])
    return table(["statement, ms per turn (medians)", "times", "parse", "plan", "execute", "all"], rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--follow-up", type=float, default=45.0, metavar="SECONDS", help="how long the follow-up is measured")
    parser.add_argument("--write-docs", action="store_true", help=f"write the tables into {DOCS.name} too")
    args = parser.parse_args()
    head = machine.header()
    section = run(turns=args.turns, follow_up_s=args.follow_up)
    print(head, section.text, sep="\n\n")
    if args.write_docs:
        DOCS.write_text(documented_section(DOCS.read_text(), head, section))


if __name__ == "__main__":
    main()
