"""The check that every name in a template names something."""

import re
from collections.abc import Iterator
from typing import Any

from local.template.errors import Problem
from local.template.pseudo import PSEUDO
from local.template.source import Fragment, Source

_PLACEHOLDER = re.compile(r"\$\{(?!!)\s*([^}\s]+)\s*\}")


def check(source: Source, translated: Fragment) -> None:
    """Raise `TemplateInvalid` if a Ref, Fn::GetAtt or Fn::Sub in the file names nothing."""
    known = {"AWS::NoValue", *PSEUDO, *(source.content.get("Parameters") or {})}
    known |= source.content["Resources"].keys() | translated["Resources"].keys()
    problems = [_problem(source, path, name) for path, name in _uses(source.content, ()) if name.split(".")[0] not in known]
    if problems:
        raise source.invalid(*problems)


def _problem(source: Source, path: tuple[str | int, ...], name: str) -> Problem:
    owner = str(path[1]) if path[0] == "Resources" and len(path) > 1 else str(path[0])
    return Problem(owner, source.line(*path), f"{name!r} is neither a parameter nor a resource of this template")


def _uses(node: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield where a name is used, and the name."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _uses(item, (*path, index))
    if isinstance(node, dict):
        for name in _named(node):
            yield path, name
        for key, item in node.items():
            yield from _uses(item, (*path, key))


def _named(node: Fragment) -> list[str]:
    if len(node) != 1:
        return []
    key, argument = next(iter(node.items()))
    if key == "Ref" and isinstance(argument, str):
        return [argument]
    if key == "Fn::GetAtt":
        return [str(argument[0] if isinstance(argument, list) else argument)]
    if key == "Fn::Sub":
        text, variables = (argument, {}) if isinstance(argument, str) else argument
        return [name for name in _PLACEHOLDER.findall(text) if name not in variables]
    return []
