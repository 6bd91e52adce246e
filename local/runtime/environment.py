"""The environment variables of a worker: the template's, and what Lambda itself sets."""

import os
from collections.abc import Mapping

from local.runtime.code import Code
from local.template.pseudo import REGION
from local.template.stack import Function


def variables(function: Function, code: Code, *, runtime_api: str, wiring: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment; `wiring` is what only this machine needs, and nothing else leaks in.

    A function whose template calls it isolated gets no wiring: it reaches nothing of this stack's, as on AWS.
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    reached = {} if function.is_isolated else wiring
    return {**_lambda(function, code, runtime_api), **code.environment, **reached, **function.environment}


def _lambda(function: Function, code: Code, runtime_api: str) -> dict[str, str]:
    return {
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
        "LAMBDA_TASK_ROOT": str(code.root),
        "LANG": "en_US.UTF-8",
        "PATH": os.environ.get("PATH", os.defpath),
        "TZ": ":UTC",
        "_HANDLER": function.handler,
    }
