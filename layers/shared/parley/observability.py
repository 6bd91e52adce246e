"""Logs and metrics: one JSON line an event, the request id on each, and no secrets in any.

Prompts, answers and credentials do not belong in logs: fields with a telling name are dropped and anything that looks
like a token is masked, wherever in the line it stands.
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
    r"eyJ[\w-]{5,}\.[\w-]*\.?[\w-]*"  # a JWT
    r"|\b(?:parley|prt)_[\w.-]{8,}"  # our own tokens
    r"|\bsk-[\w-]{8,}"  # model vendors' keys
    r"|(?i:bearer\s+)[\w.~+/=-]{8,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # a password in an address
)


def redact(value: Any) -> Any:
    """Return `value` without what must not be logged; containers are copied, not changed."""
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
    """Return the function's logger; service and level come from Powertools' own variables."""
    return Logger(logger_formatter=LambdaPowertoolsFormatter(json_serializer=_serialize), use_rfc3339=True)


def make_metrics() -> EphemeralMetrics:
    """Return an empty set of metrics. Powertools' own `Metrics` is one for the process, which threads would take from each other."""
    return EphemeralMetrics(namespace="Parley")


# AWS's runtime sets the root to INFO: libraries would log a line for each request they pass on.
logging.getLogger().setLevel(logging.WARNING)
logger = make_logger()
