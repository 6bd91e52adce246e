"""Whether arguments fit a tool's JSON schema, before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from parley.observability import logger

MOST_FAULTS = 10
_LONGEST_MESSAGE = 300


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where: `path` leads there from the arguments' own object."""

    path: tuple[str | int, ...]
    msg: str

    def __str__(self) -> str:
        return f"/{'/'.join(map(str, self.path))}: {self.msg}"


def faults(parameters: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[Fault]:
    """Return what of `arguments` does not fit the JSON schema (draft 2020-12), ten faults at most.

    Regular expressions are left to the tool: a schema may come from a stranger, and one expression can take for ever.
    References are followed inside the schema only. A schema that is none fits nothing.
    """
    try:
        found = _checker()(dict(parameters)).iter_errors(dict(arguments))
        return [Fault(tuple(error.absolute_path), error.message[:_LONGEST_MESSAGE]) for error in islice(found, MOST_FAULTS)]
    except Exception as exc:  # what a schema from elsewhere can raise has no end: recursion, references, types
        logger.warning("a tool's schema cannot be used", reason=type(exc).__name__)
        return [Fault((), "the tool's own schema is not usable")]


@cache
def _checker() -> Any:
    from jsonschema import Draft202012Validator  # 0.1 s that only a call of a tool pays
    from jsonschema.validators import extend
    from referencing import Registry

    kind = extend(Draft202012Validator, {"pattern": _ignored, "patternProperties": _ignored})
    # A registry of its own: the default one fetches what a schema refers to.
    return lambda schema: kind(schema, registry=Registry())


def _ignored(*_: object) -> None:
    return None
