"""Template parameters and environment variables that adapt a stack to this machine; on AWS the deployment sets them."""

import importlib.util
import os
import re
from collections.abc import Iterable
from pathlib import Path

from local.services.stack_services import StackServices
from local.settings import EmulatorSettings

_ENV_REFERENCE = re.compile(r"""["']env:([A-Za-z_][A-Za-z0-9_]*)["']""")

_EMBEDDING_MODEL = Path("functions/embedder/model/model.onnx")

# Values that suit a developer's machine.
LOCAL_PARAMETERS = {
    "PasswordMinLength": "12",
    "EmailVerification": "off",
    "MailFrom": "parley@localhost.example",
    # The local database never sleeps, so frequent runs do not wake it.
    "RecoveryInterval": "rate(5 minutes)",
    # All requests come from the same IP address.
    "GuessesPerAddress": "100000",
    "GuessesPerMinute": "100000",
}

# Environment variables of `parley up` that set a template parameter.
PARAMETERS_BY_VARIABLE = {
    "PARLEY_RATE_PER_MINUTE": "RatePerMinute",
    "PARLEY_BUDGET_USD": "MonthlyBudgetUsd",
    "PARLEY_MCP_SERVERS": "McpServers",
    "PARLEY_OIDC_ISSUERS": "OidcIssuers",
    "PARLEY_OFFLINE_MODEL": "OfflineModel",
}


def model_api_keys(catalogues: Iterable[Path]) -> dict[str, str]:
    """Return the environment variables that model catalogues refer to as `env:NAME`, if they are set."""
    names = {name for path in catalogues for name in _ENV_REFERENCE.findall(path.read_text(encoding="utf-8"))}
    return {name: os.environ[name] for name in sorted(names) if os.environ.get(name)}


def set_variables() -> dict[str, str]:
    """Return the environment variables that set a template parameter, by parameter."""
    return {parameter: name for name, parameter in PARAMETERS_BY_VARIABLE.items() if os.environ.get(name)}


def template_parameters(settings: EmulatorSettings, services: StackServices) -> dict[str, str]:
    """Return the values that suit this machine, for parameters that the template may declare."""
    return {
        **services.parameters,
        "JwksUrl": f"{settings.url}/.well-known/jwks.json",
        "BuiltinEmbedding": "on" if is_embedder_installed(settings) else "off",
        "ModelsFile": str(settings.models.resolve()) if settings.models else "",
        **LOCAL_PARAMETERS,
        **passkey_parameters(settings.port),
        **{parameter: os.environ[name] for parameter, name in set_variables().items()},
        # The template's environment variables override ours, so an empty default there would hide the developer's key.
        **{_parameter_for(name): key for name, key in model_api_keys(_catalogues(settings)).items()},
    }


def passkey_parameters(port: int) -> dict[str, str]:
    """Return the parameters for passkeys at the gateway's port. An address such as 127.0.0.1 cannot be a relying party of WebAuthn."""
    return {"PasskeyRpId": "localhost", "PasskeyOrigins": f"http://localhost:{port}"}


def is_embedder_installed(settings: EmulatorSettings) -> bool:
    """Return whether the function `embedder` can run: a build has all it needs, sources need `make embedder`."""
    if settings.built:
        return (settings.built / "EmbedderFunction" / _EMBEDDING_MODEL).is_file()
    root = settings.template.resolve().parent
    return (root / _EMBEDDING_MODEL).is_file() and importlib.util.find_spec("onnxruntime") is not None


def extra_environment(settings: EmulatorSettings, services: StackServices) -> dict[str, str]:
    """Return the environment variables for workers, in addition to the template's and Lambda's own."""
    return {
        **services.extra_environment,
        "AWS_ENDPOINT_URL_LAMBDA": f"{settings.url}/_local/lambda",
        # The developer's AWS profile must have no effect.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **model_api_keys(_catalogues(settings)),
    }


def _parameter_for(variable: str) -> str:
    """Return the template parameter for a variable, for example `OpenaiApiKey` for `OPENAI_API_KEY`."""
    return "".join(word.capitalize() for word in variable.split("_"))


def _catalogues(settings: EmulatorSettings) -> list[Path]:
    # In a build, a layer's packages are below `python/`, the folder that Lambda puts on the search path.
    pattern = "*/python/**/models.toml" if settings.built else "layers/*/**/models.toml"
    shipped = settings.template.resolve().parent.glob(pattern)
    return [*([settings.models] if settings.models else []), *shipped]
