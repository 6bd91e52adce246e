"""The audit: the events of each account, for its user, and those of the whole deployment, for its admins.

The user's events have the full address and are deleted with the account. The deployment's rows have the network only, no text of a user,
and outlive the account. The login's statement (`sessions.py`, `oidc.py`) adds both by itself.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, insert, select, text
from sqlalchemy.dialects.postgresql import insert as insert_once

from parley.auth.client_origin import ClientOrigin
from parley.db.tables import audit_events, deployment_audit
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
    "passkey_added",
    "passkey_removed",
    "passkey_cloned",
    "password_changed",
    "password_reset",
    "email_change_requested",
    "email_changed",
    "api_key_made",
    "api_key_revoked",
    "export_requested",
    "deletion_requested",
    "changed_by_admin",
    "sessions_ended_by_admin",
    "group_founded",
    "group_deleted",
    "group_joined",
    "group_left",
    "group_member_removed",
    "group_role_changed",
    "provisioned",
    "changed_by_provider",
    "enabled_by_provider",
    "disabled_by_provider",
    "deprovisioned",
    "group_share_changed",
]
type DeploymentAction = Literal[
    "login_failed",
    "guard_hit",
    "invite_made",
    "invite_withdrawn",
    "all_sessions_ended",
    "group_funded",
    "account_deleted",
    "audit_export_requested",
    "link_shared",
    "link_revoked",
    "document_shared",
    "document_unshared",
    "assistant_shared",
    "assistant_unshared",
    "prompt_shared",
    "prompt_unshared",
    "import_announced",
    "settings_changed",
    "tool_settings_changed",
    "mcp_server_added",
    "mcp_server_removed",
    "scim_token_made",
    "scim_tokens_revoked",
    "scim_group_made",
    "scim_group_changed",
    "scim_group_deleted",
]
type Actor = Literal["user", "admin", "issuer", "scim", "system", "stranger"]
type SharedKind = Literal["document", "assistant", "prompt"]

# The details that the deployment keeps. Names of keys and of clients are texts that users wrote.
DETAILS = {
    "session_id",
    "api_key_id",
    "passkey_id",
    "export_id",
    "group_id",
    "role",
    "changes",
    "issuer",
    "sessions",
    "api_keys_revoked",
    "scopes",
    "attributes",
}
_BY_ISSUER = {"ended_by_issuer", "role_changed_by_issuer"}
_BY_SCIM = {"provisioned", "changed_by_provider", "enabled_by_provider", "disabled_by_provider", "deprovisioned"}
_SHARES: dict[tuple[SharedKind, bool], DeploymentAction] = {
    ("document", True): "document_shared",
    ("document", False): "document_unshared",
    ("assistant", True): "assistant_shared",
    ("assistant", False): "assistant_unshared",
    ("prompt", True): "prompt_shared",
    ("prompt", False): "prompt_unshared",
}
_REFUSED = {"login_failed", "refresh_token_reused", "authorization_code_reused", "passkey_cloned"}


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """An event of an account, and the origin of the request that caused it."""

    id: UUID
    at: datetime
    event: str
    address: str | None
    user_agent: str | None
    detail: dict[str, Any]


def add(
    connection: Connection,
    user_id: UUID,
    event: AuditEventName,
    origin: ClientOrigin | None,
    *,
    admin_id: UUID | None = None,
    **detail: Any,
) -> None:
    """Log an event of an account, in the same transaction as the change that the event records.

    `detail` is JSON and must not contain secrets. `admin_id` is the admin who made the change, and is not in the user's own log: the id
    of an erased admin must not remain in another user's rows.
    """
    values = {"user_id": user_id, "id": new_id(), "event": event, "detail": detail}
    client = {"address": origin.address, "user_agent": origin.user_agent} if origin else {}
    connection.execute(insert(audit_events).values(values | client))
    actor: Actor = "admin" if admin_id else "issuer" if event in _BY_ISSUER else "scim" if event in _BY_SCIM else "user"
    actor_id = None if actor in ("issuer", "scim") else admin_id or user_id
    kept = {name: value for name, value in detail.items() if name in DETAILS}
    record(connection, event, actor=actor, actor_id=actor_id, account_id=user_id, origin=origin, detail=kept)


def add_to_each(
    connection: Connection,
    event: AuditEventName,
    details: Mapping[UUID, Mapping[str, object]],
    origin: ClientOrigin,
    *,
    admin_id: UUID,
) -> None:
    """Log an act of an admin on the accounts that `details` names, as `add` does for one. Requires the background role."""
    if not details:
        return
    client = {"address": origin.address, "user_agent": origin.user_agent}
    own = [{"user_id": user_id, "id": new_id(), "event": event, "detail": detail} | client for user_id, detail in details.items()]
    connection.execute(insert(audit_events), own)
    common = {"action": event, "actor": "admin", "actor_id": admin_id, "network": origin.region, "outcome": "done"}
    rows = [common | {"id": new_id(), "account_id": user_id, "detail": detail} for user_id, detail in details.items()]
    connection.execute(insert(deployment_audit), rows)


def record(
    connection: Connection,
    action: AuditEventName | DeploymentAction,
    *,
    actor: Actor,
    actor_id: UUID | None,
    account_id: UUID | None,
    origin: ClientOrigin | None = None,
    id: UUID | None = None,
    is_refused: bool = False,
    detail: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Add a row to the deployment's audit only. `detail` must not contain a text of a user. A row with the same `id` is added once."""
    values = {
        "id": id or new_id(),
        "action": action,
        "actor": actor,
        "actor_id": actor_id,
        "account_id": account_id,
        "network": origin.region if origin else None,
        "outcome": "refused" if is_refused or action in _REFUSED else "done",
        "detail": dict(detail),
    }
    connection.execute(insert_once(deployment_audit).values(values).on_conflict_do_nothing())


def page(connection: Connection, *, user_id: UUID, limit: int, after: UUID | None) -> list[AuditEvent]:
    """Return up to `limit` events that follow the event `after`, newest first."""
    columns = [audit_events.c[field.name] for field in fields(AuditEvent)]
    statement = select(*columns).where(audit_events.c.user_id == user_id)
    statement = statement.where(audit_events.c.id < after) if after else statement
    return [AuditEvent(**row._mapping) for row in connection.execute(statement.order_by(audit_events.c.id.desc()).limit(limit))]


def record_own(connection: Connection, user_id: UUID, action: DeploymentAction, origin: ClientOrigin, **detail: object) -> None:
    """Add an act of a user on what is the user's own to the deployment's audit."""
    record(connection, action, actor="user", actor_id=user_id, account_id=user_id, origin=origin, detail=detail)


def record_share(
    connection: Connection,
    user_id: UUID,
    kind: SharedKind,
    object_id: UUID,
    origin: ClientOrigin,
    *,
    is_shared: bool,
    group_id: UUID | None = None,
) -> None:
    """Add to the deployment's audit that a user shares an object, or no longer does: with a group or, without one, with everybody."""
    audience = {"group_id": str(group_id)} if group_id else {"audience": "everybody"}
    record_own(connection, user_id, _SHARES[kind, is_shared], origin, **{f"{kind}_id": str(object_id)}, **audience)


def record_members(
    connection: Connection,
    action: Literal["group_joined", "group_left"],
    user_ids: Collection[UUID],
    *,
    group_id: UUID,
    origin: ClientOrigin,
) -> None:
    """Add to the deployment's audit whom SCIM has added to a group or removed from it.

    Requires the background role, unless the transaction is on behalf of the only user.
    """
    common = {"action": action, "actor": "scim", "network": origin.region, "outcome": "done", "detail": {"group_id": str(group_id)}}
    if user_ids:
        connection.execute(insert(deployment_audit), [common | {"id": new_id(), "account_id": user_id} for user_id in sorted(user_ids)])


def sweep(connection: Connection) -> int:
    """Delete events older than 400 days and return their number. Requires the background role."""
    return connection.execute(text("DELETE FROM audit_events WHERE at < now() - interval '400 days'")).rowcount
