"""The deployment's tools by name: built in, from plugin files and from installed packages; and the plugins that failed to load.

A plugin is imported only when it is loaded.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from functions.toolrunner import langchain
from functions.toolrunner.builtin.calculator import calculator
from functions.toolrunner.builtin.current_time import current_time
from functions.toolrunner.builtin.weather import weather_tool
from functions.toolrunner.builtin.web_page import fetch_url
from parley.observability import logger
from parley.tools.spec import Tool, ToolUnusable

ENTRY_POINT_GROUP = "parley.tools"


_PLUGINS_PACKAGE = f"{__package__}.plugins"


def find_plugins(folder: Path) -> dict[str, Callable[[], object]]:
    """Return how each plugin is loaded: the files of `folder`, then what packages offer by the entry point `parley.tools`."""
    files = {path.name: partial(import_module, f"{_PLUGINS_PACKAGE}.{path.stem}") for path in sorted(folder.glob("[!_]*.py"))}
    packages = {f"{point.value} of {point.dist.name if point.dist else '?'}": point.load for point in entry_points(group=ENTRY_POINT_GROUP)}
    return {**files, **packages}


def builtin_tools(*, geocoding_url: str, forecast_url: str) -> list[Tool]:
    """Return the built-in tools that run here; those that search run in their caller (`parley/tools/inside.py`)."""
    return [calculator, weather_tool(geocoding_url=geocoding_url, forecast_url=forecast_url), current_time, fetch_url]


_MAX_REASON_CHARACTERS = 300


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
                self._broken.append({"plugin": name, "reason": f"{type(exc).__name__}: {exc}"[:_MAX_REASON_CHARACTERS]})

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
    tools = {id(tool): tool for thing in things if (tool := _as_tool(thing))}
    if not tools:
        raise ToolUnusable("there is no tool in it: write a function with @tool")
    return list(tools.values())


def _as_tool(thing: object) -> Tool | None:
    if isinstance(thing, Tool):
        return thing
    return langchain.from_langchain(thing) if langchain.is_langchain_tool(thing) else None
