"""Validation of arguments against a tool's JSON schema, before the tool runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from parley.observability import logger

MAX_ERRORS = 10
_MAX_MESSAGE = 300


@dataclass(frozen=True, slots=True)
class ArgumentError:
    """A validation error; `path` leads from the arguments object to the invalid value."""

    path: tuple[str | int, ...]
    msg: str

    def __str__(self) -> str:
        return f"/{'/'.join(map(str, self.path))}: {self.msg}"


def argument_errors(parameters: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[ArgumentError]:
    """Return how `arguments` violate the JSON schema (draft 2020-12), at most `MAX_ERRORS` errors.

    Regular expressions are ignored: a schema may come from a stranger, and a single expression can run forever. References
    are resolved inside the schema only. An invalid schema rejects all arguments.
    """
    try:
        errors = _validator()(dict(parameters)).iter_errors(dict(arguments))
        return [ArgumentError(tuple(error.absolute_path), error.message[:_MAX_MESSAGE]) for error in islice(errors, MAX_ERRORS)]
    except Exception as exc:  # a foreign schema can raise anything: recursion, unresolved references, wrong types
        logger.warning("tool_schema_rejected", reason=type(exc).__name__)
        return [ArgumentError((), "the tool's own schema is invalid")]


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator  # takes 0.1 s, which only tool calls should pay
    from jsonschema.validators import extend
    from referencing import Registry

    validator_class = extend(Draft202012Validator, {"pattern": _ignored, "patternProperties": _ignored})
    # An empty registry: the default registry fetches the URLs that a schema refers to.
    return lambda schema: validator_class(schema, registry=Registry())


def _ignored(*_: object) -> None:
    return None
