"""Save a stopped stack's data directory to a folder, and restore it from there."""

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.backup import database
from local.backup.aws_copy import AwsStore
from local.backup.database import DatabaseAddress
from local.data_dir import DataDir
from local.services.stack_services import StackServices

_FORMAT = 1
_MANIFEST, _DUMP, _KEYS, _FILES = "manifest.json", "database.dump", "keys.json", "files"

type Report = Callable[[str], None]


class BackupUnusable(Exception):
    """The folder is not a complete, undamaged backup."""


class TargetInUse(Exception):
    """The target holds data, and overwriting was not requested."""


async def save(data: DataDir, folder: Path, *, overwrite: bool, report: Report) -> None:
    """Save the data of a stopped stack to `folder`. Raises TargetInUse, DataDirInUse, DatabaseCopyFailed and ServiceFailed.

    The folder appears when the backup is complete. Files are copied after the database, so no row lacks its file.
    """
    if folder.exists() and not overwrite:
        raise TargetInUse(f"{folder} exists; choose another folder, or replace it with --overwrite")
    draft = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    try:
        async with _running(data) as (address, aws):
            description = await asyncio.to_thread(database.dump, address, draft / _DUMP)
            rows = sum(table["rows"] for table in description["tables"].values())
            report(f"database  {rows:,} rows in {len(description['tables'])} tables, revision {description['revision']}")
            files = await asyncio.to_thread(aws.save_objects, draft / _FILES)
            report(f"files     {len(files):,}, {sum(entry['bytes'] for entry in files.values()):,} bytes")
            aws.save_parameters(draft / _KEYS)
            report(f"keys      {len(json.loads((draft / _KEYS).read_text()))} parameters")
        manifest = {
            "format": _FORMAT,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "database": description,
            "files": files,
            "sha256": {name: _sha256(draft / name) for name in (_DUMP, _KEYS)},
        }
        (draft / _MANIFEST).write_text(json.dumps(manifest, indent=1))
        if folder.exists():
            shutil.rmtree(folder)
        os.rename(draft, folder)  # noqa: PTH104 (Path.rename may not replace)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


async def restore(data: DataDir, folder: Path, *, overwrite: bool, report: Report) -> None:
    """Replace the data of a stopped stack by the backup in `folder`.

    Raises BackupUnusable, TargetInUse, DataDirInUse, DatabaseCopyFailed and ServiceFailed. The backup is checked first, and
    the database is replaced only by one that equals the saved one. A repetition completes an interrupted restore.
    """
    manifest = check(folder)
    report(f"backup of {manifest['created_at']} is complete")
    async with _running(data) as (address, aws):
        if not overwrite and not (database.is_empty(address) and aws.is_empty()):
            raise TargetInUse(f"{data.path} holds data; replace it with --overwrite")
        await asyncio.to_thread(aws.restore_parameters, folder / _KEYS)
        report(f"keys      {len(aws.parameters())} parameters")
        await asyncio.to_thread(aws.restore_objects, folder / _FILES, manifest["files"])
        report(f"files     {len(manifest['files']):,}")
        await asyncio.to_thread(database.restore, address, folder / _DUMP, manifest["database"])
        report("database  equals the saved one: rows, row level security, rights and roles")


def check(folder: Path) -> dict[str, Any]:
    """Return the manifest of a backup whose files all have their checksums. Raises BackupUnusable."""
    try:
        manifest: dict[str, Any] = json.loads((folder / _MANIFEST).read_text())
    except (OSError, ValueError) as exc:
        raise BackupUnusable(f"{folder} is not a backup: {_MANIFEST} is missing or damaged") from exc
    if manifest.get("format") != _FORMAT:
        raise BackupUnusable(f"{folder} has the format {manifest.get('format')}, and this release reads {_FORMAT}")
    files = {f"{_FILES}/{name}": entry["sha256"] for name, entry in manifest["files"].items()}
    for name, sha256 in (manifest["sha256"] | files).items():
        if not (folder / name).is_file():
            raise BackupUnusable(f"{folder} is incomplete: {name} is missing")
        if _sha256(folder / name) != sha256:
            raise BackupUnusable(f"{folder} is damaged: {name} does not have its checksum")
    return manifest


@asynccontextmanager
async def _running(data: DataDir) -> AsyncIterator[tuple[DatabaseAddress, AwsStore]]:
    """Run PostgreSQL and the AWS stand-in on a data directory, without the functions."""
    data.open()
    data.logs.mkdir(exist_ok=True)
    services = StackServices(data, wants_pgbouncer=False, upload_origins=[], report=lambda _: None, step=lambda *_: None)
    try:
        await services.start()
        yield DatabaseAddress(*services.superuser_login), AwsStore(services.aws.url, services.aws_credentials)
    finally:
        await services.stop()
        data.close()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
