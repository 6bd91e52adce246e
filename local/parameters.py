"""Template parameters and environment variables that connect the functions to this machine; on AWS the deployment sets them."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from local.services.stack_services import StackServices
from local.settings import EmulatorSettings

_ENV_REFERENCE = re.compile(r"""["']env:([A-Za-z_][A-Za-z0-9_]*)["']""")

# What a stack on a developer's machine is like, where its template lets it choose.
LOCAL_PARAMETERS = {
    "PasswordMinLength": "12",
    "EmailVerification": "off",
    "MailFrom": "parley@localhost.example",
    # Everybody here has the same address.
    "GuessesPerAddress": "100000",
    "GuessesPerMinute": "100000",
}

# What a developer may set in the environment of `parley up` for a parameter.
PARAMETERS_BY_VARIABLE = {
    "PARLEY_RATE_PER_MINUTE": "RatePerMinute",
    "PARLEY_BUDGET_USD": "MonthlyBudgetUsd",
    "PARLEY_MCP_SERVERS": "McpServers",
}


def model_api_keys(catalogues: Iterable[Path]) -> dict[str, str]:
    """Return the environment variables that model catalogues refer to as `env:NAME` and that are set here."""
    names = {name for path in catalogues for name in _ENV_REFERENCE.findall(path.read_text(encoding="utf-8"))}
    return {name: os.environ[name] for name in sorted(names) if os.environ.get(name)}


def template_parameters(settings: EmulatorSettings, services: StackServices) -> dict[str, str]:
    """Return the template's parameters as this machine offers them."""
    return {
        **services.parameters,
        "JwksUrl": f"{settings.url}/.well-known/jwks.json",
        "ModelsFile": str(settings.models.resolve()) if settings.models else "",
        **LOCAL_PARAMETERS,
        **{parameter: os.environ[name] for name, parameter in PARAMETERS_BY_VARIABLE.items() if os.environ.get(name)},
        # A template's variable goes before this machine's, and its empty default would hide the developer's key.
        **{_parameter_for(name): key for name, key in model_api_keys(_catalogues(settings)).items()},
    }


def extra_environment(settings: EmulatorSettings, services: StackServices) -> dict[str, str]:
    """Return the environment variables that workers get beside the template's and Lambda's."""
    return {
        **services.extra_environment,
        "AWS_ENDPOINT_URL_LAMBDA": f"{settings.url}/_local/lambda",
        # The developer's own AWS profile has no part in this.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **model_api_keys(_catalogues(settings)),
    }


def _parameter_for(variable: str) -> str:
    """Return what a template calls a parameter for this variable: `OpenaiApiKey` for `OPENAI_API_KEY`."""
    return "".join(word.capitalize() for word in variable.split("_"))


def _catalogues(settings: EmulatorSettings) -> list[Path]:
    # A build keeps a layer's packages in a folder that Lambda puts on the search path.
    pattern = "*/python/**/models.toml" if settings.built else "layers/*/**/models.toml"
    shipped = settings.template.resolve().parent.glob(pattern)
    return [*([settings.models] if settings.models else []), *shipped]
