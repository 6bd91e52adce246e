"""What ties the functions to this machine: template parameters and environment variables that AWS would fill otherwise."""

import os
from pathlib import Path

from local.keys import keys_for
from local.services.all import Services
from local.settings import Settings

# What a stack on a developer's machine is like, where its template lets it choose.
CHOICES = {
    "PasswordMinLength": "12",
    "EmailVerification": "off",
    "MailFrom": "parley@localhost.example",
    # Everybody here has the same address.
    "GuessesPerAddress": "100000",
    "GuessesPerMinute": "100000",
}

# What a developer may set in the environment of `parley up` for a parameter.
OWN_CHOICES = {"PARLEY_RATE_PER_MINUTE": "RatePerMinute", "PARLEY_BUDGET_USD": "MonthlyBudgetUsd", "PARLEY_MCP_SERVERS": "McpServers"}


def parameters(settings: Settings, services: Services) -> dict[str, str]:
    """Return the template's parameters as this machine offers them."""
    return {
        **services.parameters,
        "JwksUrl": f"{settings.url}/.well-known/jwks.json",
        "ModelsFile": str(settings.models.resolve()) if settings.models else "",
        **CHOICES,
        **{parameter: os.environ[name] for name, parameter in OWN_CHOICES.items() if os.environ.get(name)},
        # A template's variable goes before this machine's, and its empty default would hide the developer's key.
        **{_parameter_for(name): key for name, key in keys_for(_catalogues(settings)).items()},
    }


def environment(settings: Settings, services: Services) -> dict[str, str]:
    """Return the environment variables that workers get beside the template's and Lambda's."""
    return {
        **services.wiring,
        "AWS_ENDPOINT_URL_LAMBDA": f"{settings.url}/_local/lambda",
        # The developer's own AWS profile has no part in this.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **keys_for(_catalogues(settings)),
    }


def _parameter_for(variable: str) -> str:
    """Return what a template calls a parameter for this variable: `OpenaiApiKey` for `OPENAI_API_KEY`."""
    return "".join(word.capitalize() for word in variable.split("_"))


def _catalogues(settings: Settings) -> list[Path]:
    # A build keeps a layer's packages in a folder that Lambda puts on the search path.
    pattern = "*/python/**/models.toml" if settings.built else "layers/*/**/models.toml"
    shipped = settings.template.resolve().parent.glob(pattern)
    return [*([settings.models] if settings.models else []), *shipped]
