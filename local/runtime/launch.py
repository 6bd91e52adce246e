"""How to start a worker from the sources or from a build: its command and its environment variables."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from local.template.pseudo import REGION
from local.template.stack import Function

_ISOLATED_MAIN = Path(__file__).with_name("isolated_main.py")
_FORK_SERVER_MAIN = Path(__file__).with_name("fork_server_main.py")
_STAND_IN = Path(__file__).with_name("standin")


@dataclass(frozen=True)
class LaunchSpec:
    """Working folder, command (without the handler) and additional environment variables of a worker.

    `fork_command` starts the function's fork server; it is empty if workers must not be forked.
    """

    root: Path
    command: tuple[str, ...]
    fork_command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def launch_from_sources(function: Function, *, wants_stand_in: bool = False) -> LaunchSpec:
    """Return how to run a function from the checkout, with the interpreter and the packages of this environment.

    The Python stand-in replaces AWS's native runtime client if `wants_stand_in` is set or the client is not installed.
    """
    environment = {"PYTHONPATH": str(_STAND_IN)} if wants_stand_in or not _has_native_client() else {}
    # -P keeps the script's folder off the search path; as with -m, the first entry is the working folder.
    fork_command = (sys.executable, "-P", str(_FORK_SERVER_MAIN), str(function.root))
    return LaunchSpec(function.root, (sys.executable, "-m", "awslambdaric"), fork_command, environment)


def launch_from_build(function: Function, *, runtime: Path) -> LaunchSpec:
    """Return how to run a function from the output of `sam build`.

    The search path is Lambda's: task root, layers, `runtime` (a folder with the packages of AWS's runtime), standard
    library. The worker sees no package of this environment and writes no bytecode.
    """
    # Lambda unpacks each layer over the previous ones, so the last layer comes first on the search path.
    layers = [str(layer / "python") for layer in reversed(function.layers)]
    paths = os.pathsep.join([str(function.root), *layers, str(runtime)])
    isolated = (base_interpreter(), "-I", "-S", "-B")
    return LaunchSpec(function.root, (*isolated, str(_ISOLATED_MAIN), paths), (*isolated, str(_FORK_SERVER_MAIN), paths))


@cache
def _has_native_client() -> bool:
    return find_spec("runtime_client") is not None


def base_interpreter() -> str:
    """Return the interpreter that this virtual environment is based on."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def worker_environment(function: Function, spec: LaunchSpec, *, runtime_api: str, extra_environment: Mapping[str, str]) -> dict[str, str]:
    """Return all environment variables of a worker. Only `PATH` is inherited.

    `extra_environment` connects functions to this machine's services. A function that the template marks as isolated does
    not get these variables, because on AWS it cannot reach the stack's services either.
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    connections = {} if function.is_isolated else extra_environment
    return {**_lambda_variables(function, spec, runtime_api), **spec.environment, **connections, **function.environment}


def _lambda_variables(function: Function, spec: LaunchSpec, runtime_api: str) -> dict[str, str]:
    # Lambda sets the level for JSON logs only; Powertools warns if its own level is lower.
    level = {"AWS_LAMBDA_LOG_LEVEL": function.log_level} if function.log_format == "JSON" else {}
    return {
        **level,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": function.log_format,
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"local/[$LATEST]{runtime_api.rpartition(':')[2]}",
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_REGION": REGION,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "local",
        "LAMBDA_TASK_ROOT": str(spec.root),
        "LANG": "en_US.UTF-8",
        "PATH": os.environ.get("PATH", os.defpath),
        "TZ": ":UTC",
        "_HANDLER": function.handler,
    }
