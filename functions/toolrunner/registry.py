"""The registry of the deployment's tools: built-in tools, tools of plugins, and a list of the plugins that failed to load.

A plugin is a file in `plugins/` or an entry point of an installed package.
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

type Load = Callable[[], object]

ENTRY_POINT_GROUP = "parley.tools"
_PLUGINS_PACKAGE = f"{__package__}.plugins"
_MAX_REASON_CHARACTERS = 300


def find_plugins(folder: Path) -> dict[str, Load]:
    """Map the name of each plugin to its loader: first the files in `folder`, then the entry points `parley.tools` of packages.

    Nothing is imported until a loader is called. Files whose names begin with `_` are ignored.
    """
    files = {path.name: partial(import_module, f"{_PLUGINS_PACKAGE}.{path.stem}") for path in sorted(folder.glob("[!_]*.py"))}
    packages = {f"{point.value} of {point.dist.name if point.dist else '?'}": point.load for point in entry_points(group=ENTRY_POINT_GROUP)}
    return {**files, **packages}


def builtin_tools(*, geocoding_url: str, forecast_url: str) -> list[Tool]:
    """Return the built-in tools that run here. The search tools run in the calling function (`parley/tools/search_tools.py`)."""
    return [calculator, weather_tool(geocoding_url=geocoding_url, forecast_url=forecast_url), current_time, fetch_url]


class Registry:
    """Holds tools by name. A plugin cannot replace a tool that is already registered."""

    def __init__(self, builtin: Iterable[Tool]) -> None:
        self._tools: dict[str, Tool] = {}
        self._broken: list[dict[str, str]] = []
        for tool in builtin:
            self._add(replace(tool, spec=replace(tool.spec, source="builtin")))

    def load(self, plugins: Mapping[str, Load]) -> None:
        """Register the tools of plugins. If a plugin fails to load, it is listed with the reason, and the other plugins are loaded."""
        for name, load in plugins.items():
            try:
                for tool in tools_of(load()):
                    self._add(tool)
            except (Exception, SystemExit) as exc:
                logger.exception("plugin_rejected", plugin=name)
                self._broken.append({"plugin": name, "reason": f"{type(exc).__name__}: {exc}"[:_MAX_REASON_CHARACTERS]})

    def find(self, name: str) -> Tool | None:
        """Return the tool with this name, or None."""
        return self._tools.get(name)

    def listed(self) -> dict[str, Any]:
        """Return the specifications of all tools and the failed plugins, ready for JSON."""
        return {"tools": [asdict(tool.spec) for tool in self._tools.values()], "broken": list(self._broken)}

    def _add(self, tool: Tool) -> None:
        if tool.spec.name in self._tools:
            raise ToolUnusable(f"a tool named {tool.spec.name} is already registered")
        self._tools[tool.spec.name] = tool


def tools_of(plugin: object) -> list[Tool]:
    """Return the tools of a loaded plugin, which is a tool, a list of tools, or a module. Raises ToolUnusable if it has none."""
    if isinstance(plugin, ModuleType):
        things = [thing for name, thing in vars(plugin).items() if not name.startswith("_")]
    else:
        things = list(plugin) if isinstance(plugin, list | tuple) else [plugin]
    # Compare by identity, because a module may refer to the same tool by two names.
    tools = {id(tool): tool for thing in things if (tool := _as_tool(thing))}
    if not tools:
        raise ToolUnusable("the plugin has no tool: decorate a function with @tool")
    return list(tools.values())


def _as_tool(thing: object) -> Tool | None:
    if isinstance(thing, Tool):
        return thing
    return langchain.from_langchain(thing) if langchain.is_langchain_tool(thing) else None
