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

# The syntax of <input type=email> (WHATWG HTML, 4.10.5.1.5), with at least two labels in the domain.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(rf"[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})+", re.IGNORECASE | re.ASCII)


def _normalise_email(value: str) -> str:
    """Return the address in lower case, so that case never distinguishes two users. Raises ValueError if it is malformed."""
    if not _EMAIL.fullmatch(value.strip()):
        raise ValueError("not an e-mail address")
    return value.strip().lower()


Email = Annotated[str, Field(max_length=254, json_schema_extra={"format": "email"}), AfterValidator(_normalise_email)]
# The password policy counts characters after NFC normalization, which can merge up to four characters into one.
Password = Annotated[str, Field(min_length=1, max_length=4 * MAX_LENGTH)]
CurrentPassword = Annotated[
    Password | None,
    Field(description="The caller's current password. Without it, the session must have begun at an issuer within the last ten minutes."),
]
EmailCode = Annotated[str, Field(min_length=1, max_length=200, examples=["AZlvagAAcACAAAAAAAAAAWV4YW1wbGUtZXhhbXBsZS0"])]
DisplayName = Annotated[str, Field(min_length=1, max_length=100)]


class Registration(Input):
    """POST /auth/register."""

    email: Email
    password: Password
    display_name: DisplayName | None = None
    invite: Annotated[str, Field(max_length=200)] | None = None


class VerificationPending(Output):
    """A code was mailed to the address. Send it to POST /auth/verify to create the account."""

    status: Literal["verification_sent"] = "verification_sent"


class Accepted(Output):
    """The request was accepted and will be carried out."""

    status: Literal["accepted"] = "accepted"


class Verification(Input):
    """POST /auth/verify. `password` is the sign-up's password, required if several sign-ups share the address."""

    email: Email
    code: EmailCode
    password: Password | None = None


class Login(Input):
    """POST /auth/login."""

    email: Email
    password: Password


class SecondFactorPending(Output):
    """The password is right. Send `challenge` with a code to POST /auth/login/second-factor.

    An account that has a passkey may send it to POST /auth/login/passkey instead.
    """

    status: Literal["second_factor_required"] = "second_factor_required"
    challenge: str


class PasswordChange(Input):
    """POST /auth/password."""

    current_password: Password
    new_password: Password
    keep_api_keys: Annotated[bool, Field(description="Keep the account's API keys. By default they are revoked.")] = False


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

    password: CurrentPassword = None
    new_email: Email


class EmailConfirmation(Input):
    """POST /auth/email/confirm."""

    code: EmailCode


class AccountDeletion(Input):
    """DELETE /auth/me."""

    password: CurrentPassword = None


class Refresh(Input):
    """POST /auth/refresh. The token is required, except in cookie mode."""

    refresh_token: Annotated[str, Field(max_length=200)] | None = None


class Logout(Input):
    """POST /auth/logout."""

    everywhere: bool = False


class IssuerLogoutOut(Output):
    """The session has ended here. At `url`, the user logs out of the issuer `label` too."""

    label: str
    url: str


class ProfileChange(Input):
    """PATCH /auth/me. Omitted fields stay unchanged."""

    display_name: DisplayName | None = None
    memory_enabled: bool = True
    default_model: Annotated[str, Field(max_length=100)] | None = None
    retention_days: Annotated[int, Field(ge=0, le=36_500)] | None = Field(
        default=None,
        description="Delete conversations after this many days without activity. 0 keeps them; null uses the deployment's default.",
    )


class UserOut(Output):
    """The caller's account."""

    id: UUID
    email: str
    display_name: str | None
    role: str
    memory_enabled: bool
    default_model: str | None
    retention_days: int | None
    created_at: Timestamp


class TokensOut(Output):
    """A user's new tokens. `expires_in` is the access token's lifetime in seconds; in cookie mode `refresh_token` is null.

    With `needs_second_factor`, this deployment demands a second factor, and the session may only add one: an app at
    `/auth/second-factor`, then refresh; or a passkey at `/auth/passkeys`, then sign in with it.
    """

    user: UserOut
    access_token: str
    refresh_token: str | None
    token_type: str = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: int = int(LIFETIME.total_seconds())
    needs_second_factor: bool = False

    @classmethod
    def of(cls, tokens: IssuedTokens) -> Self:
        """Render issued tokens."""
        return cls.model_validate(tokens)


class SessionOut(Output):
    """An active session. `current` is true for the session of this request. `client_name` names an MCP client and is else null."""

    id: UUID
    created_at: Timestamp
    last_used_at: Timestamp
    expires_at: Timestamp
    address: str | None
    user_agent: str | None
    client_name: str | None
    current: bool

    @classmethod
    def of(cls, session: ActiveSession, principal: Principal) -> Self:
        """Render a session for its user."""
        return cls(**asdict(session), current=session.id == principal.session_id)


class AuditEventOut(Output):
    """An event in the account's audit log."""

    id: UUID
    at: Timestamp
    event: str
    address: str | None
    user_agent: str | None
    detail: dict[str, Any]


class ExportOut(Output):
    """An export of all data stored about the user. `url` works without authentication: keep it secret."""

    id: UUID
    status: str
    url: str | None = None
    created_at: Timestamp


Scope = Literal["chat", "conversations", "tools", "documents", "approvals"]


def _parse_rfc3339(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be an RFC 3339 timestamp")
    return datetime.fromisoformat(value)


# Pydantic alone would also accept numbers and strings of digits.
RfcTimestamp = Annotated[AwareDatetime, BeforeValidator(_parse_rfc3339, json_schema_input_type=datetime)]


class ApiKeyIn(Input):
    """POST /auth/api-keys. By default, a key has all scopes except `approvals` and expires after one year.

    Its limits apply in addition to the user's own limits and cannot raise them.
    """

    password: CurrentPassword = None
    name: Annotated[str, Field(min_length=1, max_length=100)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=5)] | None = None
    expires_at: RfcTimestamp | None = None
    rate_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    monthly_budget_usd: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)] | None = None


class ApiKeyOut(Output):
    """An API key without the key itself. `last_used_at` is accurate to the hour."""

    id: UUID
    name: str
    scopes: list[str]
    created_at: Timestamp
    expires_at: Timestamp
    last_used_at: Timestamp | None
    rate_per_minute: int | None
    monthly_budget_usd: float | None


class CreatedApiKeyOut(ApiKeyOut):
    """A new API key. Only the first response shows `key`; a repeated `Idempotency-Key` omits it."""

    key: str | None = None

    @classmethod
    def of(cls, issued: IssuedApiKey) -> Self:
        """Render an issued key."""
        return cls(**ApiKeyOut.model_validate(issued.stored).model_dump(), key=issued.key)
