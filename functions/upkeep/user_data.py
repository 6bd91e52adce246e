"""Exports a user's data as one JSON file, and the audit as JSON lines; deletes accounts, and files of deleted documents and images.

Every function is safe to repeat.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from tempfile import SpooledTemporaryFile
from typing import Any
from uuid import UUID

from functions.upkeep.services import UpkeepServices
from parley.clock import rfc3339, utc_now
from parley.db import images, outbox
from parley.db.accounts import administration, audit, deployment_audit, exports
from parley.db.engine import Connection, Engine
from parley.db.transactions import global_scope, user_scope
from parley.errors import NotFound
from parley.ingest_queue import document_key
from parley.observability import logger

# Increase it when programs that read exports must adapt.
VERSION = 1
# A larger export is written to disk.
_IN_MEMORY_BYTES = 8 << 20


def make_export(services: UpkeepServices, export_id: UUID, *, user_id: UUID, entry_id: UUID) -> None:
    """Create the file of a requested export, unless it exists. If the user was deleted, raise NotFound and leave no file."""
    with SpooledTemporaryFile(_IN_MEMORY_BYTES) as file:
        with user_scope(services.engine, user_id) as connection:
            export = exports.get(connection, export_id, user_id=user_id)
            is_due = export.status == "queued"
            if not is_due:
                outbox.delete_done(connection, entry_id, user_id=user_id)
            elif export.kind == "account":
                file.writelines(export_document(connection, user_id=user_id, now=utc_now()))
        if not is_due:
            return
        extension, media_type = ("json", "application/json") if export.kind == "account" else ("jsonl", "application/jsonl")
        file_key: str | None = f"exports/{user_id}/{export_id}.{extension}"
        if export.kind == "audit" and not _write_audit(services, file, admin_id=user_id):
            file_key = None
        if file_key:
            file.seek(0)
            services.files.put(file_key, file, media_type=media_type)
        _finish(services, export_id, user_id=user_id, entry_id=entry_id, file_key=file_key)


def _write_audit(services: UpkeepServices, file: SpooledTemporaryFile[bytes], *, admin_id: UUID) -> bool:
    """Write the deployment's audit, a JSON object per line, newest first. Return False if the user is no longer an admin."""
    with global_scope(services.background) as connection:
        if not administration.is_admin(connection, admin_id):
            return False
        file.writelines(_json(asdict(event)) + b"\n" for event in deployment_audit.newest(connection))
    return True


def _finish(services: UpkeepServices, export_id: UUID, *, user_id: UUID, entry_id: UUID, file_key: str | None) -> None:
    try:
        with user_scope(services.engine, user_id) as connection:
            exports.finish(connection, export_id, user_id=user_id, file_key=file_key)
            outbox.delete_done(connection, entry_id, user_id=user_id)
    except NotFound:
        if file_key:
            services.files.delete(file_key)
        raise


def give_up_export(engine: Engine, entry: outbox.OutboxEntry) -> None:
    """Stop retrying an export and mark it as failed for its user to see. Raises NotFound if the user was deleted."""
    if entry.subject_id is None:
        return
    with user_scope(engine, entry.user_id) as connection:
        exports.finish(connection, entry.subject_id, user_id=entry.user_id, file_key=None)
        outbox.delete_done(connection, entry.id, user_id=entry.user_id)
    logger.error("export_failed", export_id=str(entry.subject_id), attempts=entry.attempts)


def export_document(connection: Connection, *, user_id: UUID, now: datetime) -> Iterator[bytes]:
    """Yield the export in parts, while PostgreSQL streams the rows.

    The document is `{"parley_export": VERSION, "exported_at", "user_id", "tables": {name: [row, …]}}`. Times are in RFC
    3339, bytes in base64, and decimal numbers are strings.
    """
    head = {"parley_export": VERSION, "exported_at": now, "user_id": user_id}
    yield _json(head)[:-1] + b', "tables": {'
    separator = b"\n"
    for name, rows in exports.user_rows(connection, user_id=user_id):
        yield separator + _json(name) + b": ["
        yield from _comma_separated(rows)
        yield b"]"
        separator = b",\n"
    yield b"}}\n"


def _comma_separated(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    separator = b"\n"
    for row in rows:
        yield separator + _json(row)
        separator = b",\n"


def _json(value: Any) -> bytes:
    return json.dumps(value, default=_json_value, ensure_ascii=False).encode()


def _json_value(value: Any) -> str:
    match value:
        case datetime():
            return rfc3339(value)
        case date():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case UUID() | Decimal():
            return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def erase_user(services: UpkeepServices, user_id: UUID) -> None:
    """Delete a user's files and all rows, including the outbox entry of this job. Raises Unavailable."""
    services.files.delete_all_of(user_id)
    with global_scope(services.background) as connection:
        if administration.erase(connection, user_id):
            audit.record(connection, "account_deleted", actor="system", actor_id=None, account_id=user_id)
    # Again, for files stored in between. Code that stores a file after this finds the user deleted and deletes the file itself.
    services.files.delete_all_of(user_id)


def erase_document(services: UpkeepServices, document_id: UUID, *, user_id: UUID, entry_id: UUID) -> None:
    """Delete the file of a deleted document. Raises Unavailable."""
    services.files.delete(document_key(user_id, document_id))
    with user_scope(services.engine, user_id) as connection:
        outbox.delete_done(connection, entry_id, user_id=user_id)


def erase_image(services: UpkeepServices, image_id: UUID, *, user_id: UUID, entry_id: UUID) -> None:
    """Delete the file of an image unless a message of the user still refers to it. Raises Unavailable."""
    with user_scope(services.engine, user_id) as connection:
        is_referenced = images.is_referenced(connection, image_id, user_id=user_id)
    if not is_referenced:
        services.files.delete(images.image_key(image_id, user_id=user_id))
    with user_scope(services.engine, user_id) as connection:
        outbox.delete_done(connection, entry_id, user_id=user_id)
