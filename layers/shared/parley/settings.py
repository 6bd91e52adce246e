"""Settings by composition: a function's own model derives from the parts it needs.

Each is read from the environment once, in the function's `app.py`, and passed down. `template.yaml` sets the
variables; their names are the fields with the prefix `PARLEY_`.
"""

import os
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """What every function's settings share: the prefix, and that they never change.

    Not pydantic-settings: its import costs every cold start more than the rest of this package (docs/bench.md).
    """

    model_config = ConfigDict(frozen=True)

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the fields from their variables. Raises ValidationError for one that is missing or of another type."""
        variables = {name: f"PARLEY_{name.upper()}" for name in cls.model_fields}
        return cls.model_validate({name: environment[variable] for name, variable in variables.items() if variable in environment})


class HttpSettings(Settings):
    """What answers to browsers need."""

    allowed_origin: str


class DatabaseSettings(Settings):
    """Where PostgreSQL is, and how a function proves who it is.

    `iam` mints a token for each connection; `libpq` leaves the password to libpq's own variables
    (PGPASSWORD, PGPASSFILE). `database_ca_file` holds the certificates that `verify-full` trusts; empty means the
    public ones and Amazon's, which RDS Proxy is signed by.
    """

    database_host: str
    database_port: int
    database_name: str
    database_auth: Literal["iam", "libpq"]
    database_tls: Literal["verify-full", "disable"]
    database_ca_file: str


class BudgetSettings(Settings):
    """What a user may spend a month, where no admin has said otherwise."""

    budget_usd: Annotated[Decimal, Field(ge=0, le=100_000)]


class LimitSettings(BudgetSettings):
    """What a user may ask in a minute and spend in a month."""

    rate_per_minute: Annotated[int, Field(gt=0, le=1_000_000)]


class CatalogueSettings(Settings):
    """Where the catalogue of models is: the parameter if one is named, else the file, else what ships."""

    models_file: str
    models_parameter: str


class ModelSettings(CatalogueSettings, LimitSettings):
    """Which models there are, and what users may have of them."""


class KeySettings(Settings):
    """Where the signing keys live in the Parameter Store: a path without a slash at its end."""

    keys_path: str


class ToolSettings(KeySettings):
    """Which function runs tools, and the MCP servers of the whole deployment: JSON as `parley.tools.mcp` reads it, or nothing.

    The key that the headers of users' servers are sealed with lies by the signing keys.
    """

    toolrunner_function: str
    mcp_servers: str
