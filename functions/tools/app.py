"""Tools: which there are, what users let them do, remote MCP servers, and an MCP server of our own."""

from parley import cold_start  # isort: split

import os
from functools import partial

from functions.tools.desk import Desk
from functions.tools.routes import router
from parley.db.engine import make_engine
from parley.embedding import Embedding
from parley.http.app import create_app
from parley.http.buffered import buffered_handler
from parley.own_tools import own_tools
from parley.settings import DatabaseSettings, HttpSettings, ModelSettings, ToolSettings
from parley.tools.invoker import Invoker
from parley.tools.remotes import Remotes


class ToolsSettings(HttpSettings, DatabaseSettings, ModelSettings, ToolSettings):
    """What this function reads from its environment."""


settings = ToolsSettings.read()
engine = make_engine(settings)
invoker = Invoker(settings.toolrunner_function)
remotes = Remotes.of(settings, invoker.ask)
embedding = Embedding.of(settings, engine, os.environ)
desk = Desk(engine, invoker, remotes, partial(own_tools, engine, embedding), embedding.allowance)
app = create_app(router, settings=settings, engine=engine, desk=desk)
handler = buffered_handler(app)
cold_start.finish()
