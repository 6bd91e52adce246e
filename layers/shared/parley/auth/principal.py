"""Who a request is made by."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from parley.errors import Forbidden, Unauthorized

USER_SCOPES = frozenset({"chat", "conversations", "tools", "documents", "account"})
ADMIN_SCOPES = USER_SCOPES | {"admin"}


@dataclass(frozen=True, slots=True)
class Principal:
    """A signed-in user and the session that proves it; `scopes` is what this token may do."""

    user_id: UUID
    session_id: UUID
    scopes: frozenset[str]
    expires_at: datetime

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Self:
        """Read verified claims, or the authorizer's context that repeats them as strings.

        Raises Unauthorized where one is missing or of the wrong form.
        """
        try:
            return cls(
                user_id=UUID(claims["sub"]),
                session_id=UUID(claims["sid"]),
                scopes=frozenset(claims["scope"].split()),
                expires_at=datetime.fromtimestamp(int(claims["exp"]), UTC),
            )
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as exc:
            raise Unauthorized(f"claims unfit for a principal: {exc!r}") from exc

    def require(self, scope: str) -> None:
        """Raise Forbidden unless this token may do `scope`."""
        if scope not in self.scopes:
            raise Forbidden(f"user {self.user_id} lacks scope {scope!r}")
