"""The audit of the whole deployment, as its admins read it. `audit.py` writes it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, select, text

from parley.db.accounts.audit import Actor
from parley.db.tables import deployment_audit

# An export has the newest rows up to this number.
MAX_EXPORTED = 500_000
_BATCH_SIZE = 1000


@dataclass(frozen=True, slots=True)
class DeploymentEvent:
    """A row of the deployment's audit.

    `actor_id` is the account that acted, and `account_id` the one that it concerns. Both ids stay after their accounts are deleted.
    """

    id: UUID
    at: datetime
    action: str
    actor: Actor
    actor_id: UUID | None
    account_id: UUID | None
    network: str | None
    outcome: Literal["done", "refused"]
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Rows of these actors, accounts and actions in the half-open interval [`start`, `end`)."""

    actor_id: UUID | None = None
    account_id: UUID | None = None
    action: str | None = None
    start: datetime | None = None
    end: datetime | None = None


_DEPLOYMENT_COLUMNS = [deployment_audit.c[field.name] for field in fields(DeploymentEvent)]


def page(connection: Connection, which: AuditFilter, *, limit: int, after: UUID | None) -> list[DeploymentEvent]:
    """Return up to `limit` rows of the deployment's audit that follow the row `after`, newest first. Requires the background role."""
    statement = _filtered(which).where(deployment_audit.c.id < after) if after else _filtered(which)
    return [DeploymentEvent(**row._mapping) for row in connection.execute(statement.limit(limit))]


def newest(connection: Connection) -> Iterator[DeploymentEvent]:
    """Yield the newest `MAX_EXPORTED` rows of the deployment's audit, newest first. Requires the background role."""
    statement = _filtered(AuditFilter()).limit(MAX_EXPORTED)
    with connection.execute(statement, execution_options={"yield_per": _BATCH_SIZE}) as rows:
        for row in rows:
            yield DeploymentEvent(**row._mapping)


def _filtered(which: AuditFilter) -> Select[tuple[Any, ...]]:
    conditions: Sequence[ColumnElement[bool]] = [
        deployment_audit.c[name] == value
        for name, value in (("actor_id", which.actor_id), ("account_id", which.account_id), ("action", which.action))
        if value is not None
    ]
    statement = select(*_DEPLOYMENT_COLUMNS).where(*conditions).order_by(deployment_audit.c.id.desc())
    statement = statement.where(deployment_audit.c.at >= which.start) if which.start else statement
    return statement.where(deployment_audit.c.at < which.end) if which.end else statement


def sweep(connection: Connection) -> int:
    """Delete rows of the deployment's audit older than 400 days and return their number. Requires the background role."""
    return int(connection.execute(text("SELECT parley_forget_audit()")).scalar_one())
