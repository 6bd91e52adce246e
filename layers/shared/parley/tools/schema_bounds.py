"""Bounds on the JSON schemas of MCP servers' tools. Checking even a small schema from a stranger can take exponential time.

With `allOf` and references, each definition can double the work of the one before it. So the bounds count the nodes of
the schema with its references expanded. The time also depends on the arguments, which the tool runner checks under its time limit.
"""

from collections.abc import Iterator, Mapping
from typing import Any

MAX_DEPTH = 32
MAX_REFERENCES = 100
MAX_EXPANDED_NODES = 5_000
_FORBIDDEN = ("$dynamicRef", "$recursiveRef")
# Definitions are counted where a reference uses them.
_DEFINITIONS = ("$defs", "definitions")


class SchemaTooComplex(ValueError):
    """The schema exceeds a bound, is recursive, or has references that cannot be followed inside it."""


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raise SchemaTooComplex unless the schema is within the bounds.

    The bounds: `MAX_DEPTH` levels, `MAX_REFERENCES` references, all of them JSON pointers into the schema, no recursion, and
    `MAX_EXPANDED_NODES` objects and arrays if every reference is replaced by its target.
    """
    if sum(1 for _ in _references(schema, depth=0)) > MAX_REFERENCES:
        raise SchemaTooComplex("too many references")
    root = {name: value for name, value in schema.items() if name not in _DEFINITIONS}
    if _Expansion(schema).nodes(root) > MAX_EXPANDED_NODES:
        raise SchemaTooComplex("too many nodes")


def _references(node: Any, *, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise SchemaTooComplex("nested too deeply")
    if isinstance(node, Mapping):
        if any(isinstance(node.get(name), str) for name in _FORBIDDEN) or (depth and isinstance(node.get("$id"), str)):
            raise SchemaTooComplex("a reference that depends on its context")
        if isinstance(reference := node.get("$ref"), str):
            yield reference
    for child in _children(node):
        yield from _references(child, depth=depth + 1)


class _Expansion:
    """Counts the nodes of a schema with its references expanded; each target is counted once and remembered."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._counts: dict[str, int | None] = {}

    def nodes(self, node: Any) -> int:
        count = 1 + sum(self.nodes(child) for child in _children(node))
        if isinstance(node, Mapping) and isinstance(reference := node.get("$ref"), str):
            count += self._target_nodes(reference)
        return count

    def _target_nodes(self, pointer: str) -> int:
        if pointer not in self._counts:
            self._counts[pointer] = None
            self._counts[pointer] = self.nodes(self._target(pointer))
        if (count := self._counts[pointer]) is None:
            raise SchemaTooComplex("a recursive reference")
        return count

    def _target(self, pointer: str) -> Any:
        if not pointer.startswith("#/"):
            raise SchemaTooComplex("a reference to the whole schema, or outside of it")
        target: Any = self._schema
        for step in pointer[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, Mapping) or name not in target:
                raise SchemaTooComplex("a reference to nothing")
            target = target[name]
        return target


def _children(node: Any) -> Iterator[Any]:
    values = node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
    return (value for value in values if isinstance(value, Mapping | list))
