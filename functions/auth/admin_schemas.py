"""Request and response models of the admin routes."""

from datetime import date
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field

from functions.auth.schemas import CurrentPassword, Email, RfcTimestamp
from parley.db.accounts.administration import Account, EndedAccess
from parley.db.accounts.invites import Invite
from parley.db.turn.feedback import Rating
from parley.http.schemas import Input, Output, Timestamp


class AccountChange(Input):
    """PATCH /admin/users/{id}. Omitted fields stay unchanged; a null budget restores the deployment's default."""

    disabled: bool = False
    role: Literal["user", "admin"] = "user"
    monthly_budget_usd: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)] | None = None


class AccountOut(Output):
    """An account, as shown to admins."""

    id: UUID
    email: str
    display_name: str | None
    role: str
    disabled: bool
    monthly_budget_usd: float | None
    created_at: Timestamp

    @classmethod
    def of(cls, account: Account) -> Self:
        """Render a stored account."""
        return cls(
            id=account.id,
            email=account.email,
            display_name=account.display_name,
            role=account.role,
            disabled=account.disabled_at is not None,
            monthly_budget_usd=float(account.monthly_budget_usd) if account.monthly_budget_usd is not None else None,
            created_at=account.created_at,
        )


class SessionsEnd(Input):
    """DELETE /admin/users/{id}/sessions."""

    revoke_api_keys: bool = False


class AllSessionsEnd(SessionsEnd):
    """DELETE /admin/sessions."""

    password: CurrentPassword = None


class EndedSessionsOut(Output):
    """How many sessions ended and how many API keys were revoked, and of how many users."""

    users: int
    sessions: int
    api_keys: int

    @classmethod
    def of(cls, ended: list[EndedAccess]) -> Self:
        """Add up what each user lost."""
        having = [user for user in ended if user.sessions or user.api_keys]
        return cls(users=len(having), sessions=sum(user.sessions for user in having), api_keys=sum(user.api_keys for user in having))


class RatedAnswerOut(Output):
    """A user's rating of an answer of `model`."""

    user_id: UUID
    message_id: UUID
    model: str | None
    rating: Rating
    reason: str | None
    created_at: Timestamp


class DeploymentEventOut(Output):
    """A row of the deployment's audit. Both ids may be of accounts that were deleted since."""

    id: UUID
    at: Timestamp
    action: str
    # No closed set: after a rollback, this release shows the rows of the newer one.
    actor: str
    actor_id: UUID | None
    account_id: UUID | None
    network: str | None
    outcome: Literal["done", "refused"]
    detail: dict[str, Any]


class UsageGroupOut(Output):
    """The usage of one group. `user_id`, `model` and `day` are null unless usage is grouped by them."""

    user_id: UUID | None
    model: str | None
    day: date | None
    turns: int
    input_tokens: int
    output_tokens: int
    cost_usd: float


class InviteIn(Input):
    """POST /admin/invites. Without `email`, any address may use the invite. By default, the invite expires after seven days."""

    email: Email | None = None
    expires_at: RfcTimestamp | None = None


class InviteOut(Output):
    """An open invite."""

    id: UUID
    email: str | None
    created_by: UUID
    created_at: Timestamp
    expires_at: Timestamp


class CreatedInviteOut(InviteOut):
    """A new invite. `invite` is the code to register with. Only the first response shows it; a repeated `Idempotency-Key` omits it."""

    invite: str | None = None

    @classmethod
    def of(cls, created: tuple[Invite, str]) -> Self:
        """Render a stored invite with its code."""
        invite, code = created
        return cls(**InviteOut.model_validate(invite).model_dump(), invite=code)
