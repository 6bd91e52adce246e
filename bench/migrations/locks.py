"""How long requests wait while a database with many rows is migrated: `python -m bench.migrations.locks [--messages 1000000]`.

A database at revision 0010 is filled, and migrated to the newest revision while one client per table reads and writes a row
without a pause. PostgreSQL reports how long each statement has waited for a table's lock (`pg_locks.waitstart`), sampled every
10 ms. Busy processors lengthen statements, not these waits.
"""

import argparse
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from bench.harness.database import running_database
from functions.migrate.upgrade import upgrade
from parley.db.engine import make_engine

FIRST_REVISION = "0010"
USERS = 1000
DIMENSIONS = 384
SAMPLE_S = 0.01
PAUSE_S = 0.02

# Rows of each table for each message.
SHARE = {"conversations": 0.02, "usage": 1.0, "passages": 0.05, "memories": 0.02, "chunks": 0.05, "documents": 0.01, "outbox": 0.01}

_ID = "('00000000-0000-7000-8000-' || lpad(to_hex({0}), 12, '0'))::uuid"
_USER = _ID.format(f"n % {USERS}")
_VECTOR = f"(SELECT array_agg(random() - 0.5 + g * 0) FROM generate_series(1, {DIMENSIONS}) g WHERE n > 0)::halfvec"
_TEXT = "'Message ' || n || ' about the migration of a large table, ' || md5(n::text)"
_PARTS = f"jsonb_build_array(jsonb_build_object('text', {_TEXT}))"
FILL = {
    "users": f"SELECT {_USER}, n || '@example.com' FROM generate_series(0, {USERS - 1}) n",
    "conversations": f"SELECT {_USER}, {_ID.format('n')}, 'title' FROM generate_series(1, {{rows}}) n",
    "messages": f"""
        SELECT {_ID.format(f"c % {USERS}")}, {_ID.format("n")}, {_ID.format("c")}, n, 'user', {_PARTS}
          FROM (SELECT n, 1 + n % {{conversations}} AS c FROM generate_series(1, {{rows}}) n) s
    """,
    "usage": f"SELECT {_USER}, {_ID.format('n')}, 'chat', 'small', 'offline', 'completed' FROM generate_series(1, {{rows}}) n",
    "passages": f"""
        SELECT {_ID.format(f"c % {USERS}")}, {_ID.format("n")}, {_ID.format("c")}, 1, 2, {_TEXT}, now(), {_VECTOR}, 'small'
          FROM (SELECT n, 1 + n % {{conversations}} AS c FROM generate_series(1, {{rows}}) n) s
    """,
    "memories": f"SELECT {_USER}, {_ID.format('n')}, {_TEXT}, 'user', {_VECTOR}, 'small' FROM generate_series(1, {{rows}}) n",
    "documents": f"SELECT {_USER}, {_ID.format('n')}, 't', 'f', 'text/plain', 1, 'ready' FROM generate_series(1, {{rows}}) n",
    "chunks": f"""
        SELECT {_ID.format(f"d % {USERS}")}, {_ID.format("d")}, n, {_ID.format("n")}, '', {_TEXT}, 0, 1, {_VECTOR}, 'small'
          FROM (SELECT n, 1 + n % {{documents}} AS d FROM generate_series(1, {{rows}}) n) s
    """,
    "outbox": f"SELECT {_USER}, {_ID.format('n')}, 'remember', {_ID.format('n')} FROM generate_series(1, {{rows}}) n",
}
COLUMNS = {
    "users": "id, email",
    "conversations": "user_id, id, title",
    "messages": "user_id, id, conversation_id, seq, role, parts",
    "usage": "user_id, id, purpose, model, provider, status",
    "passages": "user_id, id, conversation_id, first_seq, last_seq, text, said_at, embedding, embedding_model",
    "memories": "user_id, id, text, source, embedding, embedding_model",
    "documents": "user_id, id, title, filename, content_type, bytes, status",
    "chunks": "user_id, document_id, number, id, heading, text, start, tokens, embedding, embedding_model",
    "outbox": "user_id, id, topic, subject_id",
}
PROBED = [table for table in COLUMNS if table != "users"]
WAITS = """
SELECT pid, extract(epoch FROM clock_timestamp() - waitstart)::float8
  FROM pg_locks WHERE NOT granted AND waitstart IS NOT NULL AND pid = ANY (%s)
"""


def fill(connection: psycopg.Connection[Any], messages: int) -> dict[str, int]:
    """Fill the tables, and return the number of rows by table."""
    counts = {table: max(1, int(messages * SHARE.get(table, 1))) for table in COLUMNS} | {"users": USERS, "messages": messages}
    for table, query in FILL.items():
        began = time.monotonic()
        rows = query.format(rows=counts[table], conversations=counts["conversations"], documents=counts["documents"])
        connection.execute(f"INSERT INTO {table} ({COLUMNS[table]}) {rows}")
        print(f"  {table}: {counts[table]:,} rows in {time.monotonic() - began:.0f} s", flush=True)
    connection.execute("ANALYZE")
    return counts


@dataclass
class Client:
    """A client that reads and writes one row of a table without a pause, and the longest that it waited."""

    table: str
    connection: psycopg.Connection[Any]
    lock_wait_s: float = 0.0
    statement_s: float = 0.0
    statements: int = 0

    def use(self, stop: threading.Event) -> None:
        key = "document_id" if self.table == "chunks" else "id"
        row = self.connection.execute(f"SELECT user_id, {key} FROM {self.table} LIMIT 1").fetchone()
        while not stop.is_set():
            began = time.monotonic()
            self.connection.execute(f"SELECT count(*) FROM {self.table} WHERE user_id = %s AND {key} = %s", row)
            self.connection.execute(f"UPDATE {self.table} SET {key} = {key} WHERE user_id = %s AND {key} = %s", row)
            self.statement_s = max(self.statement_s, time.monotonic() - began)
            self.statements += 1
            time.sleep(PAUSE_S)


@contextmanager
def running_clients(connect: Callable[[], psycopg.Connection[Any]]) -> Iterator[list[Client]]:
    """Run one client per table until the end of the block, and sample what they wait for."""
    stop, clients = threading.Event(), [Client(table, connect()) for table in PROBED]
    by_pid = {client.connection.info.backend_pid: client for client in clients}

    def sample() -> None:
        with connect() as connection:
            while not stop.is_set():
                for pid, waited_s in connection.execute(WAITS, [list(by_pid)]):
                    by_pid[pid].lock_wait_s = max(by_pid[pid].lock_wait_s, waited_s)
                time.sleep(SAMPLE_S)

    threads = [threading.Thread(target=client.use, args=[stop]) for client in clients] + [threading.Thread(target=sample)]
    for thread in threads:
        thread.start()
    try:
        yield clients
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for client in clients:
            client.connection.close()


def measure(messages: int) -> list[str]:
    """Fill a database, migrate it while clients use it, and return the report's lines."""
    with running_database(FIRST_REVISION) as settings:

        def connect() -> psycopg.Connection[Any]:
            return psycopg.connect(host="127.0.0.1", port=settings.database_port, user="parley_owner", dbname="parley", autocommit=True)

        with connect() as connection:
            counts = fill(connection, messages)
        owner = make_engine(settings, role="owner")
        with running_clients(connect) as clients:
            time.sleep(2)
            began = time.monotonic()
            done = upgrade(owner)
            took_s = time.monotonic() - began
        owner.dispose()
    rows = [
        (
            client.table,
            f"{counts[client.table]:,}",
            f"{client.lock_wait_s * 1000:.0f}",
            f"{client.statement_s * 1000:.0f}",
            client.statements,
        )
        for client in clients
    ]
    head = ["table", "rows", "longest wait for a lock, ms", "slowest read and write, ms", "reads and writes"]
    lines = [" | ".join(map(str, row)) for row in (head, ["-"] * len(head), *rows)]
    return [f"| {line} |" for line in lines] + ["", f"{done.revision_before} to {done.revision_after} in {took_s:.0f} s"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000)
    print("\n".join(measure(parser.parse_args().messages)))


if __name__ == "__main__":
    main()
