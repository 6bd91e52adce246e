"""Retention: conversations that nobody has gone on with for as long as their user, or the deployment, wants them kept."""

from uuid import UUID

from sqlalchemy import Connection, text


def users_with_old(connection: Connection, *, default_days: int) -> list[UUID]:
    """Return whose conversations are older than may be kept; 0 days keep for ever. Needs the background role."""
    return list(connection.execute(_USERS, {"default_days": default_days}).scalars())


def take_old(connection: Connection, *, user_id: UUID, default_days: int, limit: int) -> list[UUID]:
    """Lock some of the user's conversations that are too old, and return their ids, to be deleted."""
    return list(connection.execute(_OLD, {"user_id": user_id, "default_days": default_days, "limit": limit}).scalars())


_DAYS = "coalesce(u.retention_days, CAST(:default_days AS integer))"
_IS_OLD = f"{_DAYS} > 0 AND c.updated_at < now() - make_interval(days => {_DAYS})"
_USERS = text(
    f"SELECT u.id FROM users u WHERE EXISTS (SELECT FROM conversations c WHERE c.user_id = u.id AND {_IS_OLD}) ORDER BY u.id"  # noqa: S608
)
_OLD = text(
    f"""
    SELECT c.id FROM users u JOIN conversations c ON c.user_id = u.id
     WHERE u.id = :user_id AND c.user_id = :user_id AND {_IS_OLD}
     ORDER BY c.updated_at LIMIT :limit FOR UPDATE OF c SKIP LOCKED
    """  # noqa: S608 - our own words
)
