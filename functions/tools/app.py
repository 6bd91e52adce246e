"""Tools: list, configure and run them; remote MCP servers; and Parley's own MCP server."""

from parley.http import cold_start  # isort: split

import os
from functools import partial

from functions.tools.routes import ERROR_RESPONDERS, router
from functions.tools.services import ToolsServices
from parley.db.engine import make_engine
from parley.http.app import create_app
from parley.http.lambda_entry import buffered_handler
from parley.metering.embeddings import MeteredEmbedder
from parley.settings import DatabaseSettings, HttpSettings, ModelSettings, ToolSettings
from parley.tools.invoker import Invoker
from parley.tools.mcp_registry import McpRegistry
from parley.tools.search_tools import make_search_tools


class ToolsSettings(HttpSettings, DatabaseSettings, ModelSettings, ToolSettings):
    """The settings of the tools function, read from the environment."""


settings = ToolsSettings.read()
engine = make_engine(settings)
invoker = Invoker(settings.toolrunner_function)
mcp_registry = McpRegistry.of(settings, invoker.ask)
embedding = MeteredEmbedder.of(settings, engine, os.environ)
services = ToolsServices(engine, invoker, mcp_registry, partial(make_search_tools, engine, embedding), embedding.default_limits)
app = create_app(router, settings=settings, error_responders=ERROR_RESPONDERS, engine=engine, services=services)
handler = buffered_handler(app)
cold_start.finish()
