"""Tools: list, configure and run them; remote MCP servers; and Parley's own MCP server."""

from parley.http import cold_start  # isort: split

import os

from functions.tools.routes import ERROR_RESPONDERS, router
from functions.tools.services import ToolsServices
from parley.auth.principal import Principal
from parley.db.engine import make_engine
from parley.http.app import create_app
from parley.http.lambda_entry import buffered_handler
from parley.metering.embeddings import MeteredEmbedder
from parley.settings import DatabaseSettings, HttpSettings, ModelSettings, ToolSettings
from parley.tools.invoker import Invoker
from parley.tools.mcp_registry import McpRegistry
from parley.tools.search_tools import make_search_tools
from parley.tools.toolbox import InProcessTool
from parley.tools.web_search import WebSearch


class ToolsSettings(HttpSettings, DatabaseSettings, ModelSettings, ToolSettings):
    """The settings of the tools function, read from the environment."""


settings = ToolsSettings.read()
engine = make_engine(settings)
invoker = Invoker(settings.toolrunner_function)
mcp_registry = McpRegistry.of(settings, invoker.ask)
embedding = MeteredEmbedder.of(settings, engine, os.environ)
web_tools = WebSearch.of(settings, invoker.ask, os.environ).tools()


def in_process_tools(principal: Principal) -> list[InProcessTool]:
    """Return the tools that run in this function, for one caller."""
    return [*make_search_tools(engine, embedding, principal), *web_tools]


services = ToolsServices(engine, invoker, mcp_registry, in_process_tools, embedding.default_limits)
app = create_app(router, settings=settings, error_responders=ERROR_RESPONDERS, engine=engine, services=services)
handler = buffered_handler(app)
cold_start.finish()
