"""Request and response models of the account routes, API keys included."""

import re
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from functions.auth.api_keys import IssuedApiKey
from functions.auth.passwords import MAX_LENGTH
from functions.auth.sessions import IssuedTokens
from parley.auth.access_tokens import LIFETIME
from parley.auth.principal import Principal
from parley.db.accounts.sessions import ActiveSession
from parley.http.schemas import Input, Output, Timestamp

# What browsers take in <input type=email> (WHATWG HTML, 4.10.5.1.5), with a domain of two labels at least.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"


_EMAIL = re.compile(rf"[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})+", re.IGNORECASE | re.ASCII)


def _normalise_email(value: str) -> str:
    """Only a mail can prove an address; this refuses what can be none. Case never tells two people apart."""
    if not _EMAIL.fullmatch(value.strip()):
        raise ValueError("not an e-mail address")
    return value.strip().lower()


Email = Annotated[str, Field(max_length=254, json_schema_extra={"format": "email"}), AfterValidator(_normalise_email)]


# Characters are counted after NFC, which can join up to four.
Password = Annotated[str, Field(min_length=1, max_length=4 * MAX_LENGTH)]


EmailCode = Annotated[str, Field(min_length=1, max_length=200, examples=["AZlvagAAcACAAAAAAAAAAWV4YW1wbGUtZXhhbXBsZS0"])]


DisplayName = Annotated[str, Field(min_length=1, max_length=100)]


class Registration(Input):
    """POST /auth/register."""

    email: Email
    password: Password
    display_name: DisplayName | None = None
    invite: Annotated[str, Field(max_length=200)] | None = None


class VerificationPending(Output):
    """A code has been mailed to the address; POST /auth/verify with it makes the account."""

    status: Literal["verification_sent"] = "verification_sent"


class Accepted(Output):
    """It will be done; there is nothing more to say."""

    status: Literal["accepted"] = "accepted"


class Verification(Input):
    """POST /auth/verify. `password` is the one of the sign-up, needed where there are several with the address."""

    email: Email
    code: EmailCode
    password: Password | None = None


class Login(Input):
    """POST /auth/login."""

    email: Email
    password: Password


class PasswordChange(Input):
    """POST /auth/password."""

    current_password: Password
    new_password: Password


class ForgottenPassword(Input):
    """POST /auth/password/forgot."""

    email: Email


class PasswordReset(Input):
    """POST /auth/password/reset."""

    email: Email
    code: EmailCode
    new_password: Password


class EmailChange(Input):
    """POST /auth/email."""

    password: Password
    new_email: Email


class EmailConfirmation(Input):
    """POST /auth/email/confirm."""

    code: EmailCode


class AccountDeletion(Input):
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
    def of(cls, signed_in: IssuedTokens) -> Self:
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


Scope = Literal["chat", "conversations", "tools", "documents"]


def _parse_rfc3339(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("a time is written as RFC 3339 has it")
    return datetime.fromisoformat(value)


# Pydantic itself would take numbers, too, and strings of digits.
Time = Annotated[AwareDatetime, BeforeValidator(_parse_rfc3339, json_schema_input_type=datetime)]


class NewApiKey(Input):
    """POST /auth/api-keys; all scopes and a year unless said otherwise. Limits are beside the user's own, never beyond them."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)] | None = None
    expires_at: Time | None = None
    rate_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    monthly_budget_usd: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)] | None = None


class ApiKeyOut(Output):
    """A key as it is listed. `last_used_at` is true to the hour."""

    id: UUID
    name: str
    scopes: list[str]
    created_at: Timestamp
    expires_at: Timestamp
    last_used_at: Timestamp | None
    rate_per_minute: int | None
    monthly_budget_usd: float | None


class MadeApiKeyOut(ApiKeyOut):
    """A new key. `key` is shown this once; the answer to a repeated `Idempotency-Key` goes without it."""

    key: str | None = None

    @classmethod
    def of(cls, made: IssuedApiKey) -> Self:
        """Show a new key."""
        return cls(**ApiKeyOut.model_validate(made.stored).model_dump(), key=made.key)
