"""What the account routes take and give."""

import re
from dataclasses import asdict
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field

from functions.auth.passwords import MAX_LENGTH
from functions.auth.sessions import SignedIn
from parley.auth.access_tokens import LIFETIME
from parley.auth.principal import Principal
from parley.db.accounts.sessions import ActiveSession
from parley.http.schemas import Input, Output, Timestamp

# What browsers take in <input type=email> (WHATWG HTML, 4.10.5.1.5), with a domain of two labels at least.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ADDRESS = re.compile(rf"[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})+", re.IGNORECASE | re.ASCII)


def _address(value: str) -> str:
    """Only a mail can prove an address; this refuses what can be none. Case never tells two people apart."""
    if not _ADDRESS.fullmatch(value.strip()):
        raise ValueError("not an e-mail address")
    return value.strip().lower()


Email = Annotated[str, Field(max_length=254, json_schema_extra={"format": "email"}), AfterValidator(_address)]
# Characters are counted after NFC, which can join up to four.
Password = Annotated[str, Field(min_length=1, max_length=4 * MAX_LENGTH)]
Code = Annotated[str, Field(min_length=1, max_length=200, examples=["AZlvagAAcACAAAAAAAAAAWV4YW1wbGUtZXhhbXBsZS0"])]
DisplayName = Annotated[str, Field(min_length=1, max_length=100)]


class Registration(Input):
    """POST /auth/register."""

    email: Email
    password: Password
    display_name: DisplayName | None = None
    invite: Annotated[str, Field(max_length=200)] | None = None


class Pending(Output):
    """A code has been mailed to the address; POST /auth/verify with it makes the account."""

    status: Literal["verification_sent"] = "verification_sent"


class Accepted(Output):
    """It will be done; there is nothing more to say."""

    status: Literal["accepted"] = "accepted"


class Verification(Input):
    """POST /auth/verify. `password` is the one of the sign-up, needed where there are several with the address."""

    email: Email
    code: Code
    password: Password | None = None


class Login(Input):
    """POST /auth/login."""

    email: Email
    password: Password


class PasswordChange(Input):
    """POST /auth/password."""

    current_password: Password
    new_password: Password


class Forgotten(Input):
    """POST /auth/password/forgot."""

    email: Email


class PasswordReset(Input):
    """POST /auth/password/reset."""

    email: Email
    code: Code
    new_password: Password


class EmailChange(Input):
    """POST /auth/email."""

    password: Password
    new_email: Email


class EmailConfirmation(Input):
    """POST /auth/email/confirm."""

    code: Code


class Farewell(Input):
    """DELETE /auth/me."""

    password: Password


class Refresh(Input):
    """POST /auth/refresh."""

    refresh_token: Annotated[str, Field(max_length=200)]


class Logout(Input):
    """POST /auth/logout."""

    everywhere: bool = False


class ProfileChange(Input):
    """PATCH /auth/me; what is not named stays."""

    display_name: DisplayName | None = None
    memory_enabled: bool = True
    default_model: Annotated[str, Field(max_length=100)] | None = None
    retention_days: Annotated[int, Field(ge=0, le=36_500)] | None = Field(
        default=None, description="Conversations without activity for so long are deleted; 0 keeps them, null is the deployment's rule."
    )


class UserOut(Output):
    """An account, as its owner sees it."""

    id: UUID
    email: str
    display_name: str | None
    role: str
    memory_enabled: bool
    default_model: str | None
    retention_days: int | None
    created_at: Timestamp


class TokensOut(Output):
    """A signed-in user's tokens; `expires_in` is the access token's life in seconds."""

    user: UserOut
    access_token: str
    refresh_token: str
    token_type: str = "Bearer"  # noqa: S105 - a scheme's name
    expires_in: int = int(LIFETIME.total_seconds())

    @classmethod
    def of(cls, signed_in: SignedIn) -> Self:
        """Show a sign-in."""
        return cls.model_validate(signed_in)


class SessionOut(Output):
    """A place where the user is signed in; `current` marks the one that asks."""

    id: UUID
    created_at: Timestamp
    last_used_at: Timestamp
    expires_at: Timestamp
    address: str | None
    user_agent: str | None
    current: bool

    @classmethod
    def of(cls, listed: ActiveSession, principal: Principal) -> Self:
        """Show a session to its user."""
        return cls(**asdict(listed), current=listed.id == principal.session_id)


class AuditEventOut(Output):
    """Something that happened to the account."""

    id: UUID
    at: Timestamp
    event: str
    address: str | None
    user_agent: str | None
    detail: dict[str, Any]


class ExportOut(Output):
    """A file of everything stored about the user. `url` needs no sign-in: keep it to yourself."""

    id: UUID
    status: str
    url: str | None = None
    created_at: Timestamp
