"""Logs. Each event is one line of JSON, with the correlation id and without secrets.

Prompts, answers, credentials and other text from users must not be logged. Fields with a sensitive name are redacted, and any
text that looks like a token is masked wherever it occurs in the line. Long values and long lines are shortened, so
that no request can write megabytes into the log.
"""

import json
import logging
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any
from uuid import UUID

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from parley.observability.metrics import count_cold_start
from parley.observability.settings import settings

REDACTED = "[redacted]"
MAX_CHARACTERS = 200
MAX_TRACE_CHARACTERS = 3000
MAX_ITEMS = 30
MAX_DEPTH = 4
MAX_LINE_BYTES = 8 * 1024
# Before the search for secrets, a text is cut with this margin, so that a secret at the final cut is still complete.
_MARGIN_CHARACTERS = 4096
# Python refuses to convert an integer with thousands of digits to text.
_INTEGER_BITS = 128
_TRACE_FIELDS = {"exception", "stack_trace", "traceback"}
_LINE_FIELDS = ("level", "location", "message", "timestamp", "service", "correlation_id", "exception_name", "exception")
_SECRET_FIELD = re.compile(
    r"password|secret|authorization|api_?key|token$|^code$|prompt|^message_text$|^text$|^content$|^parts$", re.IGNORECASE
)
_SECRET_TEXT = re.compile(
    # The look-ahead skips a word without a dot, which would take quadratic time if it contained many `eyJ`.
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


def bounded(value: Any, *, max_characters: int = MAX_CHARACTERS, depth: int = 0) -> Any:
    """Return a copy of a log field, shortened to the limits and with its secrets masked.

    Limits: `max_characters` of text, `MAX_ITEMS` items of a container, and `MAX_DEPTH` levels.
    """
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= _INTEGER_BITS else f"<integer of {value.bit_length()} bits>"
    if depth < MAX_DEPTH and isinstance(value, Mapping):
        return {_cut(str(key), MAX_CHARACTERS): _bounded_field(str(key), item, depth + 1) for key, item in _first_items(value.items())}
    if depth < MAX_DEPTH and isinstance(value, list | tuple | set):
        return [bounded(item, depth=depth + 1) for item in _first_items(value)]
    return _cut(redact(_cut(str(value), max_characters + _MARGIN_CHARACTERS)), max_characters)


def _bounded_field(name: str, value: Any, depth: int) -> Any:
    if _SECRET_FIELD.search(name[:MAX_CHARACTERS]):
        return REDACTED
    if name not in _TRACE_FIELDS:
        return bounded(value, depth=depth)
    if isinstance(value, list):
        value = "".join(map(str, value))
    return bounded(value, max_characters=MAX_TRACE_CHARACTERS, depth=depth)


def _first_items[T](items: Iterable[T]) -> Iterable[T]:
    return islice(items, MAX_ITEMS)


def _cut(text: str, max_characters: int) -> str:
    """Remove the middle of a long text and keep its end, where a trace names the error."""
    if len(text) <= max_characters:
        return text
    head = max_characters * 3 // 4
    return f"{text[:head]}…{text[head + 1 - max_characters :]}"


def _serialize(line: Mapping[str, Any]) -> str:
    text = json.dumps(bounded(line), ensure_ascii=False)
    if len(text.encode(errors="replace")) <= MAX_LINE_BYTES:
        return text
    essential = {name: line[name] for name in _LINE_FIELDS if name in line}
    return json.dumps(bounded(essential | {"is_cut": True}), ensure_ascii=False)


def make_logger() -> Logger:
    """Return the function's logger; service name and level come from Powertools' environment variables."""
    made = Logger(logger_formatter=LambdaPowertoolsFormatter(json_serializer=_serialize), use_rfc3339=True)
    # Powertools would take the level of Lambda's filter instead, which is lower: it must let the lines of metrics pass.
    logging.getLogger(made.name).setLevel(settings.log_level)
    return made


logger = make_logger()
# AWS's runtime sets the root logger to INFO, at which libraries log a line for every HTTP request.
logging.getLogger().setLevel(max(logging.WARNING, logger.log_level))


def begin_log_context(correlation_id: str) -> None:
    """Start a unit of work: its log lines carry `correlation_id`, and no fields of the work before it.

    A worker handles one invocation at a time, so the context belongs to the process and covers every thread.
    """
    count_cold_start()
    logger.append_keys(correlation_id=correlation_id, user_id=None, turn_id=None)


def add_log_context(*, correlation_id: str | None = None, user_id: UUID | None = None, turn_id: UUID | None = None) -> None:
    """Add fields to the log lines of the current unit of work, or replace its correlation id when the sender's becomes known."""
    if correlation_id:
        logger.append_keys(correlation_id=correlation_id)
    if user_id is not None:
        logger.append_keys(user_id=str(user_id))
    if turn_id is not None:
        logger.append_keys(turn_id=str(turn_id))


def current_correlation_id() -> str:
    """Return the correlation id of the current unit of work, or an empty string."""
    return logger.get_correlation_id() or ""
