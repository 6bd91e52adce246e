"""The principal: the user that a request acts for, and the scopes of the request's token."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from parley.errors import ScopeMissing, SecondFactorNeeded, Unauthorized

USER_SCOPES = frozenset({"chat", "conversations", "tools", "documents", "account"})
ADMIN_SCOPES = USER_SCOPES | {"admin"}
# The only scope of a session that lacks the second factor that the deployment demands of everybody. It adds one, and reads nothing else.
ENROLMENT_SCOPE = "enrolment"
DEFAULT_API_KEY_SCOPES = USER_SCOPES - {"account"}  # a leaked key must not cost the user the account
# Only a key created with this scope may approve tool calls: otherwise any program could approve the calls that it triggers.
APPROVALS_SCOPE = "approvals"
# The scopes of MCP clients that a user has signed in by a browser. No route but `/mcp` knows them.
MCP_SCOPES = frozenset({"mcp:tools", "mcp:documents", "mcp:conversations"})
API_KEY_SCOPES = DEFAULT_API_KEY_SCOPES | {APPROVALS_SCOPE}


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, authenticated by either a session or an API key, never both. `scopes` are the scopes of the request's token.

    A run of a scheduled prompt has neither: its credential is the run itself, `run_id`, which no token can name.
    """

    user_id: UUID
    session_id: UUID | None
    api_key_id: UUID | None
    scopes: frozenset[str]
    expires_at: datetime
    run_id: UUID | None = None

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Self:
        """Build the principal from verified claims, or from the authorizer's context, which has the same claims as strings.

        Raises Unauthorized if a claim is missing or malformed, if the claims do not name exactly one session or API key, or if an API
        key has a scope that API keys may not have.
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
            raise Unauthorized(f"claims do not describe a principal: {exc!r}") from exc
        principal._check_credential()
        return principal

    def _check_credential(self) -> None:
        if (self.session_id is None) == (self.api_key_id is None):
            raise Unauthorized("a principal needs either a session or an API key")
        if self.api_key_id and not self.scopes <= API_KEY_SCOPES:
            raise Unauthorized("an API key has scopes that are not allowed for API keys")

    def require(self, scope: str, *alternatives: str) -> None:
        """Raise Forbidden unless the token has the scope `scope` or an alternative: SecondFactorNeeded if it may only add a factor."""
        if not self.scopes.isdisjoint((scope, *alternatives)):
            return
        if ENROLMENT_SCOPE in self.scopes:
            raise SecondFactorNeeded(f"the session of {self.user_id} may only add a second factor")
        raise ScopeMissing(self.user_id, scope)

    def for_mcp(self) -> Self:
        """Return the principal with the scopes that its token has on `/mcp`: for a client's token, those after `mcp:`."""
        granted = {scope.removeprefix("mcp:") for scope in self.scopes & MCP_SCOPES}
        return replace(self, scopes=frozenset(granted)) if granted else self

    @property
    def may_remember(self) -> bool:
        """Whether a turn may use the user's facts and past passages: only with the scope `conversations`, which lets a client read them."""
        return "conversations" in self.scopes

    def require_approval_right(self) -> None:
        """Raise Forbidden unless the principal may approve tool calls: sessions always may, API keys need the scope `approvals`."""
        if self.session_id is None:
            self.require(APPROVALS_SCOPE)
