"""The tools that turns offer: the deployment's, those of MCP servers, and this function's own."""

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection, Engine

from functions.chat.toolbox import Toolbox, ToolboxFor
from parley.auth.principal import Principal
from parley.db.transactions import user_scope
from parley.metering.embeddings import MeteredEmbedder
from parley.tools.invoker import ToolRunner
from parley.tools.mcp_discovery import McpDiscovery
from parley.tools.mcp_registry import McpRegistry
from parley.tools.search_tools import make_search_tools
from parley.tools.toolbox import make_toolbox


def make_toolbox_for(engine: Engine, runner: ToolRunner, mcp_registry: McpRegistry, embedding: MeteredEmbedder) -> ToolboxFor:
    """Return what gives each user their tools, all of it looked up before a turn's transaction is open."""
    ear = McpDiscovery(mcp_registry)

    def ask(principal: Principal) -> Callable[[Connection], Toolbox]:
        runner.specs()
        ear.refresh(partial(user_scope, engine, principal.user_id))
        in_process_tools = make_search_tools(engine, embedding, principal)
        with user_scope(engine, principal.user_id) as connection:
            found = make_toolbox(
                connection,
                runner,
                user_id=principal.user_id,
                scopes=principal.scopes,
                mcp_registry=mcp_registry,
                in_process_tools=in_process_tools,
            )
        return lambda _connection: found

    return ask
