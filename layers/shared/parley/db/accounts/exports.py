"""Exports of everything stored about a user, and the columns that an export leaves out."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, and_, func, insert, or_, select, text, update

from parley.db.tables import exports, metadata
from parley.errors import NotFound

type ExportKind = Literal["account", "audit"]

_BATCH_SIZE = 100

# Hashes and internal keys are of no use to the user and could help a thief. Search words, vectors and descriptions are derived
# from the exported text; words and vectors would be ten times as large.
EXCLUDED_COLUMNS = {
    "credentials": {"password_hash"},
    "refresh_tokens": {"hash", "parent_hash"},
    "recovery_codes": {"hash"},
    "second_factors": {"secret", "last_step"},
    "passkeys": {"credential_id", "public_key", "sign_count"},
    "one_time_codes": {"hash"},
    "authorization_codes": {"hash", "code_challenge"},
    "idempotency_keys": {"fingerprint", "answer"},
    "exports": {"file_key"},
    "shared_links": {"token_hash"},
    "chunks": {"description", "embedding", "words", "shelf"},
    "documents": {"leased_until", "sha256"},
    "memories": {"embedding", "words"},
    "passages": {"embedding", "words"},
    "turns": {"fingerprint", "idempotency_key", "route"},
    "mcp_servers": {"headers"},
    "webhooks": {"secret", "previous_secret"},
}


@dataclass(frozen=True, slots=True)
class Export:
    """A requested export of an account or, for an admin, of the deployment's audit.

    `file_key` is the file's key in the file store, set when `status` is "ready".
    """

    id: UUID
    status: str
    file_key: str | None
    created_at: datetime
    kind: ExportKind


_COLUMNS = [exports.c[field.name] for field in fields(Export)]


def add(connection: Connection, export_id: UUID, *, user_id: UUID, kind: ExportKind = "account") -> Export:
    """Store the request for an export."""
    statement = insert(exports).values(user_id=user_id, id=export_id, kind=kind).returning(*_COLUMNS)
    return Export(**connection.execute(statement).one()._mapping)


def get(connection: Connection, export_id: UUID, *, user_id: UUID) -> Export:
    """Return the export, or raise NotFound."""
    row = connection.execute(select(*_COLUMNS).where(exports.c.user_id == user_id, exports.c.id == export_id)).one_or_none()
    if row is None:
        raise NotFound("export", export_id)
    return Export(**row._mapping)


def find_recent(connection: Connection, *, user_id: UUID, kind: ExportKind = "account") -> Export | None:
    """Return the user's newest export of this kind that is queued or became ready within the last hour, or None."""
    is_fresh = exports.c.ready_at > func.now() - timedelta(hours=1)
    is_recent = or_(exports.c.status == "queued", and_(exports.c.status == "ready", is_fresh))
    statement = (
        select(*_COLUMNS).where(exports.c.user_id == user_id, exports.c.kind == kind, is_recent).order_by(exports.c.id.desc()).limit(1)
    )
    row = connection.execute(statement).one_or_none()
    return Export(**row._mapping) if row else None


def finish(connection: Connection, export_id: UUID, *, user_id: UUID, file_key: str | None) -> None:
    """Mark an export as ready with its file, or as failed if `file_key` is None. Raises NotFound if the user was erased."""
    values = {"status": "ready" if file_key else "failed", "file_key": file_key, "ready_at": func.now()}
    which = (exports.c.user_id == user_id, exports.c.id == export_id)
    if connection.execute(update(exports).where(*which).values(values)).rowcount == 0:
        raise NotFound("export", export_id)


def user_rows(connection: Connection, *, user_id: UUID) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """Yield the name of each table with a user column, and the user's rows in it. Read a table's rows before advancing to the next.

    Rows are fetched in batches of 100, because a user may have more rows than fit into memory.
    """
    for table in metadata.sorted_tables:
        owner = table.c.get("user_id") if table.name != "users" else table.c.id
        if owner is not None:
            columns = [column for column in table.c if column.name not in EXCLUDED_COLUMNS.get(table.name, set())]
            # An import reads each conversation's messages in one piece and in this order.
            order = (table.c.conversation_id, table.c.seq, table.c.variant) if table.name == "messages" else ()
            statement = select(*columns).where(owner == user_id).order_by(*order)
            with connection.execute(statement, execution_options={"yield_per": _BATCH_SIZE}) as rows:
                yield table.name, (dict(row._mapping) for row in rows)


def sweep(connection: Connection) -> int:
    """Delete exports that became ready over 24 hours ago and return their number. Requires the background role."""
    return connection.execute(text("DELETE FROM exports WHERE ready_at < now() - interval '24 hours'")).rowcount
