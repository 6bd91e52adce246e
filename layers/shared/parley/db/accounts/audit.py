"""The audit log: the events of each account, in order."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, insert, select, text

from parley.auth.client_origin import ClientOrigin
from parley.db.tables import audit_events
from parley.ids import new_id

type AuditEventName = Literal[
    "registered",
    "login",
    "logout",
    "logout_everywhere",
    "session_ended",
    "refresh_token_reused",
    "client_authorized",
    "authorization_code_reused",
    "identity_linked",
    "role_changed_by_issuer",
    "ended_by_issuer",
    "second_factor_on",
    "second_factor_off",
    "password_changed",
    "password_reset",
    "email_change_requested",
    "email_changed",
    "api_key_made",
    "api_key_revoked",
    "export_requested",
    "deletion_requested",
    "changed_by_admin",
    "group_founded",
    "group_deleted",
    "group_joined",
    "group_left",
    "group_member_removed",
    "group_role_changed",
]


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """An event of an account, and the origin of the request that caused it."""

    id: UUID
    at: datetime
    event: str
    address: str | None
    user_agent: str | None
    detail: dict[str, Any]


def add(connection: Connection, user_id: UUID, event: AuditEventName, origin: ClientOrigin | None, **detail: Any) -> None:
    """Log an event, in the same transaction as the change that the event records. `detail` is JSON and must not contain secrets."""
    values = {"user_id": user_id, "id": new_id(), "event": event, "detail": detail}
    client = {"address": origin.address, "user_agent": origin.user_agent} if origin else {}
    connection.execute(insert(audit_events).values(values | client))


def page(connection: Connection, *, user_id: UUID, limit: int, after: UUID | None) -> list[AuditEvent]:
    """Return up to `limit` events that follow the event `after`, newest first."""
    columns = [audit_events.c[field.name] for field in fields(AuditEvent)]
    statement = select(*columns).where(audit_events.c.user_id == user_id)
    statement = statement.where(audit_events.c.id < after) if after else statement
    return [AuditEvent(**row._mapping) for row in connection.execute(statement.order_by(audit_events.c.id.desc()).limit(limit))]


def sweep(connection: Connection) -> int:
    """Delete events older than 400 days and return their number. Requires the background role."""
    return connection.execute(text("DELETE FROM audit_events WHERE at < now() - interval '400 days'")).rowcount
