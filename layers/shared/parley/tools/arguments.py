"""Validation of arguments against a tool's JSON schema, before anything runs."""

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
    """What is wrong, and where: `path` leads there from the arguments' own object."""

    path: tuple[str | int, ...]
    msg: str

    def __str__(self) -> str:
        return f"/{'/'.join(map(str, self.path))}: {self.msg}"


def argument_errors(parameters: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[ArgumentError]:
    """Return what of `arguments` does not fit the JSON schema (draft 2020-12), ten faults at most.

    Regular expressions are left to the tool: a schema may come from a stranger, and one expression can take for ever.
    References are followed inside the schema only. A schema that is none fits nothing.
    """
    try:
        found = _validator()(dict(parameters)).iter_errors(dict(arguments))
        return [ArgumentError(tuple(error.absolute_path), error.message[:_MAX_MESSAGE]) for error in islice(found, MAX_ERRORS)]
    except Exception as exc:  # what a schema from elsewhere can raise has no end: recursion, references, types
        logger.warning("a tool's schema cannot be used", reason=type(exc).__name__)
        return [ArgumentError((), "the tool's own schema is not usable")]


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator  # 0.1 s that only a call of a tool pays
    from jsonschema.validators import extend
    from referencing import Registry

    kind = extend(Draft202012Validator, {"pattern": _ignored, "patternProperties": _ignored})
    # A registry of its own: the default one fetches what a schema refers to.
    return lambda schema: kind(schema, registry=Registry())


def _ignored(*_: object) -> None:
    return None
