"""Links to snapshots of conversations. Anyone who has a link's token may read the snapshot until the link expires or is revoked."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, LargeBinary, bindparam, delete, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from parley.db.tables import shared_links
from parley.errors import NotFound

type Audience = Literal["public", "signed_in", "group"]


@dataclass(frozen=True, slots=True)
class SharedLink:
    """A link as its owner sees it, without its token, which is not stored. `group_id` is set for the audience `group`."""

    id: UUID
    conversation_id: UUID
    audience: Audience
    group_id: UUID | None
    title: str | None
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A shared conversation. It does not say whose it is. `messages` have `role`, `text`, `sources` and `created_at`."""

    audience: Audience
    title: str | None
    messages: Sequence[Mapping[str, Any]]
    created_at: datetime


_COLUMNS = [shared_links.c[field.name] for field in fields(SharedLink)]
_FIND = text("SELECT audience, title, messages, created_at FROM parley_shared_link(:token_hash)").bindparams(
    bindparam("token_hash", type_=LargeBinary)
)


def add(
    connection: Connection, link_id: UUID, *, user_id: UUID, token: str, messages: Sequence[Mapping[str, Any]], **fields: Any
) -> SharedLink:
    """Store a link; `fields` are conversation_id, audience, group_id, title and expires_at.

    Raises NotFound for a group of which the user is not a member.
    """
    values = {"user_id": user_id, "id": link_id, "token_hash": _hash_of(token), "messages": list(messages)} | fields
    try:
        with connection.begin_nested():
            return SharedLink(**connection.execute(insert(shared_links).values(values).returning(*_COLUMNS)).one()._mapping)
    except IntegrityError as exc:
        if fields.get("group_id") is None:
            raise
        raise NotFound("group", fields["group_id"]) from exc  # the foreign key to the user's membership


def count(connection: Connection, *, user_id: UUID) -> int:
    """Return the number of the user's links, including expired links that have not been swept."""
    return connection.execute(select(func.count()).where(shared_links.c.user_id == user_id)).scalar_one()


def page(connection: Connection, *, user_id: UUID, limit: int, after: UUID | None) -> list[SharedLink]:
    """Return up to `limit` of the user's links that have not expired and follow the link `after`, newest first."""
    statement = select(*_COLUMNS).where(shared_links.c.user_id == user_id, shared_links.c.expires_at > func.now())
    statement = statement.where(shared_links.c.id < after) if after else statement
    rows = connection.execute(statement.order_by(shared_links.c.id.desc()).limit(limit))
    return [SharedLink(**row._mapping) for row in rows]


def remove(connection: Connection, link_id: UUID, *, user_id: UUID) -> None:
    """Revoke a link. Raises NotFound."""
    which = (shared_links.c.user_id == user_id, shared_links.c.id == link_id)
    if connection.execute(delete(shared_links).where(*which)).rowcount == 0:
        raise NotFound("link", link_id)


def find(connection: Connection, token: str, *, is_signed_in: bool) -> Snapshot:
    """Return the snapshot of a link that the reader may see: a public one, or with an account, also one for accounts or for their group.

    Raises NotFound if there is none: the token is wrong, or the link has expired, was revoked, or is for others.
    """
    row = connection.execute(_FIND, {"token_hash": _hash_of(token)}).first()
    if row is None or (row.audience != "public" and not is_signed_in):
        raise NotFound("link", "")
    return Snapshot(**row._mapping)


def sweep(connection: Connection) -> int:
    """Delete expired links and return their number. Requires the background role."""
    return connection.execute(text("DELETE FROM shared_links WHERE expires_at < now()")).rowcount


def _hash_of(token: str) -> bytes:
    """Return the hash under which a token is stored. A plain hash suffices, because a token has 256 random bits."""
    return hashlib.sha256(token.encode()).digest()
