"""Tools: which there are, what users let them do, remote MCP servers, and an MCP server of our own."""

from parley import cold_start  # isort: split

from functions.tools.desk import Desk
from functions.tools.routes import router
from parley.db.engine import make_engine
from parley.http.app import create_app
from parley.http.buffered import buffered_handler
from parley.limits import Allowance
from parley.settings import DatabaseSettings, HttpSettings, KeySettings, LimitSettings, ToolSettings
from parley.tools.invoker import Invoker
from parley.tools.remotes import Remotes


class ToolsSettings(HttpSettings, DatabaseSettings, LimitSettings, KeySettings, ToolSettings):
    """What this function reads from its environment."""


settings = ToolsSettings.read()
engine = make_engine(settings)
invoker = Invoker(settings.toolrunner_function)
remotes = Remotes.of(invoker.ask, mcp_servers=settings.mcp_servers, keys_path=settings.keys_path)
desk = Desk(engine, invoker, remotes, Allowance(settings.rate_per_minute, settings.budget_usd))
app = create_app(router, settings=settings, engine=engine, desk=desk)
handler = buffered_handler(app)
cold_start.finish()
