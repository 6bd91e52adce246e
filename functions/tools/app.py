"""Tools: which there are, what users let them do, remote MCP servers, and an MCP server of our own."""

from parley import cold_start  # isort: split

from functools import partial

from functions.tools.desk import Desk
from functions.tools.routes import router
from parley.auth.key_store import load_sealing_key
from parley.auth.sealing import Seal
from parley.db.engine import make_engine
from parley.http.app import create_app
from parley.http.buffered import buffered_handler
from parley.limits import Allowance
from parley.settings import DatabaseSettings, HttpSettings, KeySettings, LimitSettings, ToolSettings
from parley.tools.invoker import Invoker
from parley.tools.mcp_calls import McpCalls
from parley.tools.remote import deployment_servers
from parley.tools.remotes import Remotes


class ToolsSettings(HttpSettings, DatabaseSettings, LimitSettings, KeySettings, ToolSettings):
    """What this function reads from its environment."""


settings = ToolsSettings.read()
engine = make_engine(settings)
invoker = Invoker(settings.toolrunner_function)
remotes = Remotes(McpCalls(invoker.ask), deployment_servers(settings.mcp_servers), Seal(partial(load_sealing_key, settings.keys_path)))
desk = Desk(engine, invoker, remotes, Allowance(settings.rate_per_minute, settings.budget_usd))
app = create_app(router, settings=settings, engine=engine, desk=desk)
handler = buffered_handler(app)
cold_start.finish()
