"""What the API key routes take and give."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, Field

from functions.auth.api_keys import MadeKey
from parley.http.schemas import Input, Output, Timestamp

Scope = Literal["chat", "conversations", "tools", "documents"]


def _rfc3339(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("a time is written as RFC 3339 has it")
    return datetime.fromisoformat(value)


# Pydantic itself would take numbers, too, and strings of digits.
Time = Annotated[AwareDatetime, BeforeValidator(_rfc3339, json_schema_input_type=datetime)]


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
    def of(cls, made: MadeKey) -> Self:
        """Show a new key."""
        return cls(**ApiKeyOut.model_validate(made.stored).model_dump(), key=made.key)
