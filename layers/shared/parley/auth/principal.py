"""Who a request is made by."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from parley.errors import Forbidden, Unauthorized

USER_SCOPES = frozenset({"chat", "conversations", "tools", "documents", "account"})
ADMIN_SCOPES = USER_SCOPES | {"admin"}
API_KEY_SCOPES = USER_SCOPES - {"account"}  # a lost key must not cost the account


@dataclass(frozen=True, slots=True)
class Principal:
    """A user and what proves it: a session or an API key, never both. `scopes` is what this token may do."""

    user_id: UUID
    session_id: UUID | None
    api_key_id: UUID | None
    scopes: frozenset[str]
    expires_at: datetime

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Self:
        """Read verified claims, or the authorizer's context that repeats them as strings.

        Raises Unauthorized where one is missing or of the wrong form, or where the proof is none or two.
        """
        try:
            principal = cls(
                user_id=UUID(claims["sub"]),
                session_id=UUID(claims["sid"]) if "sid" in claims else None,
                api_key_id=UUID(claims["api_key_id"]) if "api_key_id" in claims else None,
                scopes=frozenset(claims["scope"].split()),
                expires_at=datetime.fromtimestamp(int(claims["exp"]), UTC),
            )
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as exc:
            raise Unauthorized(f"claims unfit for a principal: {exc!r}") from exc
        principal._check_proof()
        return principal

    def _check_proof(self) -> None:
        if (self.session_id is None) == (self.api_key_id is None):
            raise Unauthorized("a principal needs a session or an API key")
        if self.api_key_id and not self.scopes <= API_KEY_SCOPES:
            raise Unauthorized("an API key with scopes that none may have")

    def require(self, scope: str) -> None:
        """Raise Forbidden unless this token may do `scope`."""
        if scope not in self.scopes:
            raise Forbidden(f"user {self.user_id} lacks scope {scope!r}")
