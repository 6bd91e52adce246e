"""Logs and metrics: one JSON line per event, each with the request id and none with a secret.

Prompts, answers and credentials must not be logged. Fields with a sensitive name are redacted, and any text that looks
like a token is masked wherever it occurs in the line.
"""

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import EphemeralMetrics

REDACTED = "[redacted]"
_SECRET_FIELD = re.compile(
    r"password|secret|authorization|api_?key|token$|^code$|prompt|^message_text$|^text$|^content$|^parts$", re.IGNORECASE
)
_SECRET_TEXT = re.compile(
    # The look-ahead keeps a long word of many `eyJ` from being read again from each of them.
    r"(?<![\w-])(?=[\w-]*+\.)[\w-]*?eyJ[\w-]{5,}\.[\w-]*\.?[\w-]*"  # a JWT
    r"|\b(?:parley|prt)_[\w.-]{8,}"  # our own tokens
    r"|\bsk-[\w-]{8,}"  # model vendors' keys
    r"|(?i:bearer\s+)[\w.~+/=-]{8,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # a password in an address
)


def redact(value: Any) -> Any:
    """Return a copy of `value` with secrets and sensitive fields masked; containers are not changed in place."""
    if isinstance(value, str):
        return _SECRET_TEXT.sub(REDACTED, value)
    if isinstance(value, Mapping):
        return {key: REDACTED if _SECRET_FIELD.search(str(key)) else redact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value


def _serialize(line: Mapping[str, Any]) -> str:
    return json.dumps(redact(line), default=str, ensure_ascii=False)


def make_logger() -> Logger:
    """Return the function's logger; service name and level come from Powertools' environment variables."""
    return Logger(logger_formatter=LambdaPowertoolsFormatter(json_serializer=_serialize), use_rfc3339=True)


def make_metrics() -> EphemeralMetrics:
    """Return an empty set of metrics.

    Powertools' `Metrics` is a singleton of the process, so concurrent threads would mix their values.
    """
    return EphemeralMetrics(namespace="Parley")


# AWS's runtime sets the root logger to INFO, at which libraries log a line for every HTTP request.
logging.getLogger().setLevel(logging.WARNING)
logger = make_logger()
