"""Parts of the functions' settings. Each function's settings model inherits the parts that it needs.

Settings are read from the environment once, in the function's `app.py`, and passed down. `template.yaml` sets the
variables; a variable's name is the field's name in capitals with the prefix `PARLEY_`.
"""

import os
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """The immutable base of all settings, which reads them from environment variables.

    pydantic-settings is not used: its import costs every cold start more than the rest of this package (docs/bench.md).
    """

    # Deferred: of a function's settings and the parts that they inherit, only the whole is ever validated.
    model_config = ConfigDict(frozen=True, defer_build=True)

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the settings from `environment`. Raises ValidationError for a missing or invalid variable."""
        variables = {name: f"PARLEY_{name.upper()}" for name in cls.model_fields}
        return cls.model_validate({name: environment[variable] for name, variable in variables.items() if variable in environment})


class HttpSettings(Settings):
    """The web origins whose pages may call the API: `*`, or origins separated by commas."""

    allowed_origin: str


class DatabaseSettings(Settings):
    """The address of PostgreSQL and how a function authenticates there.

    `iam` creates a token for each connection; `secret` reads the role's password from Secrets Manager, where `database_app_secret`
    and its siblings are ARNs; `libpq` leaves the password to libpq's own variables (PGPASSWORD, PGPASSFILE). `verify-full`
    trusts the certificates in `database_ca_file`; if that setting is empty, it trusts the public authorities, among them
    Amazon's, which signs the certificate of RDS Proxy. A database that pauses while it is not used takes `database_wake_s`
    seconds to wake; 0 means that it never pauses. `database_prepared_statements` requires a connection that is the worker's alone, or
    a pooler that tracks prepared statements.
    """

    database_host: str
    database_port: int
    database_name: str
    database_auth: Literal["iam", "secret", "libpq"]
    database_tls: Literal["verify-full", "disable"]
    database_ca_file: str
    database_app_secret: str = ""
    database_background_secret: str = ""
    database_owner_secret: str = ""
    database_wake_s: Annotated[int, Field(ge=0, le=60)] = 0
    database_prepared_statements: bool = False

    def secret_of(self, role: Literal["app", "background", "owner"]) -> str:
        """Return the ARN of the secret with the role's password, or an empty string."""
        return {"app": self.database_app_secret, "background": self.database_background_secret, "owner": self.database_owner_secret}[role]


class BudgetSettings(Settings):
    """The default monthly budget of a user; an admin may set another for each user."""

    budget_usd: Annotated[Decimal, Field(ge=0, le=100_000)]


class LimitSettings(BudgetSettings):
    """The default request rate and monthly budget of a user."""

    rate_per_minute: Annotated[int, Field(gt=0, le=1_000_000)]


class StreamSettings(Settings):
    """The limits on a user's concurrent answers in progress, followers of events, and waiting requests."""

    answers_per_user: Annotated[int, Field(gt=0, le=1000)]
    followers_per_user: Annotated[int, Field(gt=0, le=1000)]
    waits_per_user: Annotated[int, Field(gt=0, le=1000)]


class CatalogueSettings(Settings):
    """The source of the model catalogue: the parameter if set, else the file if set, else the catalogue that ships.

    `offline_model` determines whether offline chat models are available; `auto` hides them if another chat model's
    key is available. `embedder_function` is the function of the built-in embedding model, or empty.
    """

    models_file: str
    models_parameter: str
    embedder_function: str = ""
    offline_model: Literal["auto", "on", "off"] = "auto"


class ModelSettings(CatalogueSettings, LimitSettings):
    """The model catalogue, and the default limits on a user's requests and spending."""


class KeySettings(Settings):
    """The path of the signing keys in the Parameter Store, without a trailing slash."""

    keys_path: str


class ScheduleSettings(Settings):
    """The fewest minutes between two runs of a scheduled prompt."""

    schedule_min_minutes: Annotated[int, Field(ge=1, le=1440)]


class WebSearchSettings(Settings):
    """The search engine of the tool `web_search`, and the address that replaces the engine's own. Empty if there is no web search.

    The engine's key is in the variable `WEB_SEARCH_KEY`, or a reference to it, as models' keys are.
    """

    web_search_engine: Literal["", "tavily", "brave", "exa", "searxng"] = ""
    web_search_url: str = ""


class ToolSettings(KeySettings, WebSearchSettings):
    """The function that runs tools, and the deployment's MCP servers as JSON (`parley.tools.mcp`), or an empty string.

    The key that encrypts the headers of users' MCP servers is stored under the same path as the signing keys.
    """

    toolrunner_function: str
    mcp_servers: str
