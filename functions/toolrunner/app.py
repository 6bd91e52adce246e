"""The tool runner: lists the deployment's tools and runs one at a time. Not a web function; its role may do nothing."""

from parley import cold_start  # isort: split

from pathlib import Path
from typing import Any

from functions.toolrunner.builtin.all import builtin_tools
from functions.toolrunner.orders import ListOrder, read_order
from functions.toolrunner.plugin_files import plugin_modules
from functions.toolrunner.registry import Registry
from functions.toolrunner.running import run
from parley.observability import logger
from parley.settings import Settings
from parley.tools.guarded_http.client import GuardedHttp


class ToolrunnerSettings(Settings):
    """What this function reads from its environment.

    `tool_allowed_hosts` are names, or names with ports, separated by commas, that tools may reach wherever they are: for
    development, where they stand in for what is on the internet.
    """

    tool_allowed_hosts: str
    geocoding_url: str
    forecast_url: str


settings = ToolrunnerSettings.read()
http = GuardedHttp(settings.tool_allowed_hosts.split(","))
registry = Registry(builtin_tools(geocoding_url=settings.geocoding_url, forecast_url=settings.forecast_url))
registry.load(plugin_modules(Path(__file__).with_name("plugins")))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Do one order: `{"op": "list"}` or `{"op": "run", "name", "arguments", "user_id", "timeout_s"}`.

    A list is `{"tools": [ToolSpec as an object], "broken": [{"plugin", "reason"}]}`, a run `{"ok", "content"}`. A tool that
    overruns its time takes this process with it: the caller sees that the invocation failed. Raises ValidationError for
    anything else.
    """
    order = read_order(event)
    return registry.listed() if isinstance(order, ListOrder) else run(registry, order, http)


cold_start.finish()
