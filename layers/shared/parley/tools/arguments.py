"""Validation of arguments against a tool's JSON schema, before the tool runs.

The process that runs a turn validates only the arguments of this deployment's tools. The tool runner validates the arguments
of MCP servers' tools, under its time limit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from itertools import islice
from typing import Any

from parley.observability import logger
from parley.tools.outcome import ArgumentError, ToolOutcome

MAX_ERRORS = 10
# Keywords that match regular expressions, compare all items with each other, or validate parts of the schema repeatedly.
_IGNORED_KEYWORDS = ("pattern", "patternProperties", "uniqueItems", "unevaluatedItems", "unevaluatedProperties")
_MAX_MESSAGE = 300


def argument_errors(parameters: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[ArgumentError]:
    """Return the violations of the JSON schema (draft 2020-12) by `arguments`, at most `MAX_ERRORS`.

    Regular expressions, `uniqueItems` and the `unevaluated` keywords are ignored, because a stranger may have written the schema,
    and a single expression can take hours. References are resolved inside the schema only. An invalid schema rejects all arguments.
    """
    try:
        errors = _validator()(dict(parameters)).iter_errors(dict(arguments))
        return [ArgumentError(tuple(error.absolute_path), error.message[:_MAX_MESSAGE]) for error in islice(errors, MAX_ERRORS)]
    except Exception as exc:  # a foreign schema can raise anything: recursion, unresolved references, wrong types
        logger.warning("tool_schema_rejected", reason=type(exc).__name__)
        return [ArgumentError((), "the tool's own schema is invalid")]


def rejected_arguments(errors: Sequence[ArgumentError]) -> ToolOutcome:
    """Return the outcome of a call whose arguments do not match."""
    reason = "The arguments do not match the tool's schema: " + "; ".join(map(str, errors))
    return ToolOutcome(False, reason, argument_errors=tuple(errors))


def render_errors(errors: Sequence[ArgumentError]) -> list[dict[str, Any]]:
    """Return the errors in the JSON form of the tool runner's response."""
    return [asdict(error) for error in errors]


def parse_errors(rendered: Any) -> list[ArgumentError]:
    """Parse the output of `render_errors`. Return an empty list if there are no errors."""
    return [ArgumentError(tuple(error["path"]), str(error["msg"])) for error in rendered or ()]


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator  # takes 0.1 s and is needed only for tool calls
    from jsonschema.validators import extend
    from referencing import Registry

    check_additional = Draft202012Validator.VALIDATORS["additionalProperties"]

    def additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Any:
        # Only the ignored expressions of `patternProperties` determine which properties are additional.
        return None if "patternProperties" in schema else check_additional(validator, allowed, instance, schema)

    ignored = dict.fromkeys(_IGNORED_KEYWORDS, _ignored)
    validator_class = extend(Draft202012Validator, ignored | {"additionalProperties": additional_properties})
    # An empty registry: the default registry fetches the URLs that a schema refers to.
    return lambda schema: validator_class(schema, registry=Registry())


def _ignored(*_: object) -> None:
    return None
