"""What the account routes take and give."""

import re
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, Field

from functions.auth.passwords import MAX_LENGTH
from functions.auth.sessions import SignedIn
from parley.auth.access_tokens import LIFETIME
from parley.http.schemas import Input, Moment, Output

_ADDRESS = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+\.[^@\s.\x00-\x1f\x7f]+")


def _address(value: str) -> str:
    """Only a mail can prove an address; this refuses what can be none. Case never tells two people apart."""
    if not _ADDRESS.fullmatch(value.strip()):
        raise ValueError("not an e-mail address")
    return value.strip().lower()


Email = Annotated[str, Field(max_length=254), AfterValidator(_address)]
Password = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH)]
DisplayName = Annotated[str, Field(min_length=1, max_length=100)]


class Registration(Input):
    """POST /auth/register."""

    email: Email
    password: Password
    display_name: DisplayName | None = None


class Login(Input):
    """POST /auth/login."""

    email: Email
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


class UserOut(Output):
    """An account, as its owner sees it."""

    id: UUID
    email: str
    display_name: str | None
    role: str
    memory_enabled: bool
    default_model: str | None
    created_at: Moment


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
