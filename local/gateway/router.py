"""Route matching: fixed segments take precedence over `{var}`, and both over `{proxy+}`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from local.template.stack import Route


@dataclass
class _Node:
    """A resource of the API: its methods and its child resources."""

    methods: dict[str, Route] = field(default_factory=dict)
    fixed: dict[str, _Node] = field(default_factory=dict)
    variable: tuple[str, _Node] | None = None
    greedy: tuple[str, _Node] | None = None


class RouteMatcher:
    """Finds routes as API Gateway does: first the resource, then the method."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            self._node(route.path).methods[route.method] = route

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the route and its decoded path parameters, or None if the path has no such method or is unknown."""
        match = _match(self._root, [unquote(part) for part in _segments(path)], {})
        if match is None:
            return None
        node, parameters = match
        route = node.methods.get(method) or node.methods.get("ANY")
        return (route, parameters) if route else None

    def _node(self, path: str) -> _Node:
        node = self._root
        for segment in _segments(path):
            if segment.startswith("{") and segment.endswith("+}"):
                node.greedy = node.greedy or (segment[1:-2], _Node())
                node = node.greedy[1]
            elif segment.startswith("{"):
                node.variable = node.variable or (segment[1:-1], _Node())
                node = node.variable[1]
            else:
                node = node.fixed.setdefault(segment, _Node())
        return node


def _segments(path: str) -> list[str]:
    """Return the parts between slashes; a single trailing slash is ignored."""
    stripped = path.removeprefix("/").removesuffix("/")
    return stripped.split("/") if stripped else []


def _match(node: _Node, segments: list[str], parameters: dict[str, str]) -> tuple[_Node, dict[str, str]] | None:
    if not segments:
        return (node, parameters) if node.methods else None
    head, *rest = segments
    if head in node.fixed and (match := _match(node.fixed[head], rest, parameters)):
        return match
    if node.variable and head:
        name, child = node.variable
        if match := _match(child, rest, {**parameters, name: head}):
            return match
    if node.greedy:
        name, child = node.greedy
        return child, {**parameters, name: "/".join(segments)}
    return None
