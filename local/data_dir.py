"""The data directory: all state that outlives a run of the emulator."""

import fcntl
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO


class DataDirInUse(Exception):
    """Another emulator uses the data directory."""

    def __init__(self, path: Path, pid: str) -> None:
        super().__init__(f"{path} is in use by another `parley up` (pid {pid})")


class DataDir:
    """The paths in the data directory, and its lock. Call `open` before writing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = path.resolve()
        self.logs = self.root / "logs"
        self.postgres = self.root / "postgres"
        self.pgbouncer = self.root / "pgbouncer"
        self.aws = self.root / "aws"
        self.mail = self.aws / "mail"
        self.queues = self.root / "queues"
        self.pgpass = self.root / "pgpass"
        self.aws_credentials = self.root / "aws-credentials"
        self._secrets = self.root / "secrets.json"
        self._lock: TextIO | None = None

    def open(self) -> None:
        """Create the folder if missing and lock it until `close` or the end of the process. Raises `DataDirInUse`."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._lock = self._acquire_lock()
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    def close(self) -> None:
        if self._lock:
            self._lock.close()

    def delete(self) -> None:
        """Delete the folder. Raises `DataDirInUse` if an emulator uses it."""
        with self._acquire_lock():
            shutil.rmtree(self.root)

    def secrets(self, names: Iterable[str]) -> dict[str, str]:
        """Generate and store the secrets in `names` that are missing, and return all stored secrets by name."""
        try:
            known: dict[str, str] = json.loads(self._secrets.read_text())
        except (FileNotFoundError, ValueError):
            known = {}
        missing = [name for name in names if name not in known]
        if missing:
            known |= {name: secrets.token_urlsafe(24) for name in missing}
            write_private(self._secrets, json.dumps(known, indent=1))
        return known

    def _acquire_lock(self) -> TextIO:
        file = (self.root / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            file.close()
            raise DataDirInUse(self.path, pid) from error
        return file


def write_private(path: Path, content: str | bytes) -> None:
    """Replace a file atomically. Only its owner can read it, and it is on disk when this function returns."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def allow_traversal(path: Path) -> None:
    """Allow other users to traverse every folder above `path`. Root's home, for example, is often closed to them."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
