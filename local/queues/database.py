"""The SQLite file of the queues: its tables, its transactions, and the writes that survive a power failure."""

import os
import sqlite3
from pathlib import Path

# A checkpoint copies the log's pages into the database file, which is slow, so `Disk` does it outside of the event loop.
_CHECKPOINT_BYTES = 4_194_304

_SCHEMA = """
CREATE TABLE IF NOT EXISTS queues (
    name TEXT PRIMARY KEY, attributes TEXT NOT NULL, created_at REAL NOT NULL, modified_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    position INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, attributes TEXT NOT NULL,
    sent_at REAL NOT NULL, visible_at REAL NOT NULL, receives INTEGER NOT NULL DEFAULT 0, first_received_at REAL
);
CREATE INDEX IF NOT EXISTS messages_by_visibility ON messages (queue, visible_at);
CREATE INDEX IF NOT EXISTS messages_by_age ON messages (queue, sent_at);
CREATE UNIQUE INDEX IF NOT EXISTS messages_by_id ON messages (id);
"""


def open_database(path: Path) -> sqlite3.Connection:
    """Open the file, which is created if missing. Without a `SqliteTransaction`, each statement is committed by itself."""
    database = sqlite3.connect(path, isolation_level=None)
    path.chmod(0o600)
    # WAL with NORMAL writes to the operating system at each commit and never waits for the disk; `Disk` does that.
    for pragma in ("journal_mode = wal", "synchronous = normal", "wal_autocheckpoint = 0", "journal_size_limit = 0"):
        database.execute(f"PRAGMA {pragma}")
    database.executescript(_SCHEMA)
    return database


class SqliteTransaction:
    """A context manager: one transaction, rolled back on an exception."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._database.execute("COMMIT" if kind is None else "ROLLBACK")


class Disk:
    """Makes the store's commits survive a power failure, from any thread but only one at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = os.open(path.with_name(f"{path.name}-wal"), os.O_RDONLY)

    def flush(self) -> None:
        """Return once all commits so far are on disk."""
        os.fsync(self._log)
        if os.fstat(self._log).st_size > _CHECKPOINT_BYTES:
            checkpointer = sqlite3.connect(self._path)
            checkpointer.execute("PRAGMA wal_checkpoint(PASSIVE)")
            checkpointer.close()

    def close(self) -> None:
        os.close(self._log)
