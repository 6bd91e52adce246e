"""The tools of this deployment by name, and what could not be one."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from types import ModuleType
from typing import Any

from functions.toolrunner import langchain
from parley.observability import logger
from parley.tools.spec import Tool, ToolUnusable

_REASON_LETTERS = 300

type Load = Callable[[], object]


class Registry:
    """Holds built-in tools and those of plugins; the first of a name stays."""

    def __init__(self, builtin: Iterable[Tool]) -> None:
        self._tools: dict[str, Tool] = {}
        self._broken: list[dict[str, str]] = []
        for tool in builtin:
            self._add(replace(tool, spec=replace(tool.spec, source="builtin")))

    def load(self, plugins: Mapping[str, Load]) -> None:
        """Load plugins by their names; one that does not load is noted with why, and the others go on."""
        for name, load in plugins.items():
            try:
                for tool in tools_of(load()):
                    self._add(tool)
            except (Exception, SystemExit) as exc:
                logger.exception("a plugin is broken", plugin=name)
                self._broken.append({"plugin": name, "reason": f"{type(exc).__name__}: {exc}"[:_REASON_LETTERS]})

    def find(self, name: str) -> Tool | None:
        """Return the tool of this name, if there is one."""
        return self._tools.get(name)

    def listed(self) -> dict[str, Any]:
        """Return all tools and what is broken, as JSON."""
        return {"tools": [asdict(tool.spec) for tool in self._tools.values()], "broken": list(self._broken)}

    def _add(self, tool: Tool) -> None:
        if tool.spec.name in self._tools:
            raise ToolUnusable(f"there is a tool {tool.spec.name} already")
        self._tools[tool.spec.name] = tool


def tools_of(found: object) -> list[Tool]:
    """Return the tools in what a plugin gave: a tool, several, or a module that has some. Raises ToolUnusable for none."""
    if isinstance(found, ModuleType):
        things = [thing for name, thing in vars(found).items() if not name.startswith("_")]
    else:
        things = list(found) if isinstance(found, list | tuple) else [found]
    tools = {id(tool): tool for thing in things if (tool := _tool(thing))}
    if not tools:
        raise ToolUnusable("there is no tool in it: write a function with @tool")
    return list(tools.values())


def _tool(thing: object) -> Tool | None:
    if isinstance(thing, Tool):
        return thing
    return langchain.adapted(thing) if langchain.is_tool(thing) else None
