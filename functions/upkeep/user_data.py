"""A user's data: export as one JSON file, and deletion of accounts and of the files of deleted documents and images.

Every step is safe to repeat.
"""

import base64
import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from tempfile import SpooledTemporaryFile
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from functions.upkeep.services import UpkeepServices
from parley.clock import rfc3339, utc_now
from parley.db import images, outbox
from parley.db.accounts import administration, exports
from parley.db.transactions import global_scope, user_scope
from parley.errors import NotFound
from parley.jobs import document_key
from parley.observability import logger

VERSION = 1


_IN_MEMORY_BYTES = 8 << 20


def make_export(services: UpkeepServices, export_id: UUID, *, user_id: UUID, entry_id: UUID) -> None:
    """Store the file of an export that was asked for, once. Raises NotFound if its user is gone; then so is the file."""
    file_key = f"exports/{user_id}/{export_id}.json"
    with SpooledTemporaryFile(_IN_MEMORY_BYTES) as file:
        with user_scope(services.engine, user_id) as connection:
            is_due = exports.get(connection, export_id, user_id=user_id).status == "queued"
            if is_due:
                file.writelines(export_document(connection, user_id=user_id, now=utc_now()))
            else:
                outbox.delete_done(connection, entry_id, user_id=user_id)
        if is_due:
            file.seek(0)
            services.files.put(file_key, file, media_type="application/json")
            _finish(services, export_id, user_id=user_id, entry_id=entry_id, file_key=file_key)


def _finish(services: UpkeepServices, export_id: UUID, *, user_id: UUID, entry_id: UUID, file_key: str) -> None:
    try:
        with user_scope(services.engine, user_id) as connection:
            exports.finish(connection, export_id, user_id=user_id, file_key=file_key)
            outbox.delete_done(connection, entry_id, user_id=user_id)
    except NotFound:
        services.files.delete(file_key)
        raise


def give_up_export(services: UpkeepServices, entry: outbox.OutboxEntry) -> None:
    """Tell its user that an export cannot be made, and stop trying."""
    if entry.subject_id is None:
        return
    with user_scope(services.engine, entry.user_id) as connection:
        exports.finish(connection, entry.subject_id, user_id=entry.user_id, file_key=None)
        outbox.delete_done(connection, entry.id, user_id=entry.user_id)
    logger.error("an export was given up", export_id=str(entry.subject_id), attempts=entry.attempts)


def export_document(connection: Connection, *, user_id: UUID, now: datetime) -> Iterator[bytes]:
    """Yield the file piece by piece, as PostgreSQL hands out the rows.

    `{"parley_export": 1, "exported_at", "user_id", "tables": {name: [row, …]}}`. Times are RFC 3339, bytes base64,
    decimal numbers strings. Another number at the front means that readers must look anew.
    """
    head = {"parley_export": VERSION, "exported_at": now, "user_id": user_id}
    yield _json(head)[:-1] + b', "tables": {'
    before_table = b"\n"
    for name, rows in exports.user_rows(connection, user_id=user_id):
        yield before_table + _json(name) + b": ["
        yield from _comma_separated(rows)
        yield b"]"
        before_table = b",\n"
    yield b"}}\n"


def _comma_separated(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    before = b"\n"
    for row in rows:
        yield before + _json(row)
        before = b",\n"


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
    raise TypeError(f"no JSON for {type(value).__name__}")


def erase_user(services: UpkeepServices, user_id: UUID) -> None:
    """Delete everything of a user, the order to do so last; safe to repeat."""
    services.files.delete_all_of(user_id)
    with global_scope(services.background) as connection:
        administration.erase(connection, user_id)
    # Once more: whoever stored a file until that moment had a user to store it for, and later ones clean up themselves.
    services.files.delete_all_of(user_id)


def erase_document(services: UpkeepServices, document_id: UUID, *, user_id: UUID, entry_id: UUID) -> None:
    """Delete the file of a document whose rows have gone; safe to repeat."""
    services.files.delete(document_key(user_id, document_id))
    with user_scope(services.engine, user_id) as connection:
        outbox.delete_done(connection, entry_id, user_id=user_id)


def erase_image(services: UpkeepServices, image_id: UUID, *, user_id: UUID, entry_id: UUID) -> None:
    """Delete the file of an image that no message of the user has any more; safe to repeat. Raises Unavailable."""
    with user_scope(services.engine, user_id) as connection:
        is_shown = images.is_referenced(connection, image_id, user_id=user_id)
    if not is_shown:
        services.files.delete(images.image_key(image_id, user_id=user_id))
    with user_scope(services.engine, user_id) as connection:
        outbox.delete_done(connection, entry_id, user_id=user_id)
