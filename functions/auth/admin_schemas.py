"""What the admin routes take and give."""

from datetime import date
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field

from functions.auth.schemas import Email, Time
from parley.db.accounts.administration import Account
from parley.db.accounts.invites import Invite
from parley.http.schemas import Input, Output, Timestamp


class AccountChange(Input):
    """PATCH /admin/users/{id}; what is not named stays. A budget of null is the deployment's default."""

    disabled: bool = False
    role: Literal["user", "admin"] = "user"
    monthly_budget_usd: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)] | None = None


class AccountOut(Output):
    """An account, as an admin sees it."""

    id: UUID
    email: str
    display_name: str | None
    role: str
    disabled: bool
    monthly_budget_usd: float | None
    created_at: Timestamp

    @classmethod
    def of(cls, account: Account) -> Self:
        """Show an account."""
        return cls(
            id=account.id,
            email=account.email,
            display_name=account.display_name,
            role=account.role,
            disabled=account.disabled_at is not None,
            monthly_budget_usd=float(account.monthly_budget_usd) if account.monthly_budget_usd is not None else None,
            created_at=account.created_at,
        )


class UsageLineOut(Output):
    """What one group used; fields that it is not grouped by are null."""

    user_id: UUID | None
    model: str | None
    day: date | None
    turns: int
    input_tokens: int
    output_tokens: int
    cost_usd: float


class NewInvite(Input):
    """POST /admin/invites; for anybody and for a week unless said otherwise."""

    email: Email | None = None
    expires_at: Time | None = None


class InviteOut(Output):
    """An open invite."""

    id: UUID
    email: str | None
    created_by: UUID
    created_at: Timestamp
    expires_at: Timestamp


class MadeInviteOut(InviteOut):
    """A new invite. `invite` is what its holder registers with, shown this once; a repeated `Idempotency-Key` is answered without it."""

    invite: str | None = None

    @classmethod
    def of(cls, made: tuple[Invite, str]) -> Self:
        """Show a new invite."""
        return cls(**InviteOut.model_validate(made[0]).model_dump(), invite=made[1])
