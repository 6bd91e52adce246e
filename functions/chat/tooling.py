"""The tools that turns offer: the deployment's, those of MCP servers, and this function's own."""

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection, Engine

from functions.chat.toolbox import Toolbox, ToolboxFor
from parley.auth.principal import Principal
from parley.db.scope import user_scope
from parley.embedding import Embedding
from parley.own_tools import own_tools
from parley.tools.hearing import TurnsEar
from parley.tools.remotes import Remotes
from parley.tools.runner import ToolRunner
from parley.tools.toolbox import toolbox


def make_toolbox_for(engine: Engine, runner: ToolRunner, remotes: Remotes, embedding: Embedding) -> ToolboxFor:
    """Return what gives each user their tools, all of it looked up before a turn's transaction is open."""
    ear = TurnsEar(remotes)

    def ask(principal: Principal) -> Callable[[Connection], Toolbox]:
        runner.specs()
        ear.listen(partial(user_scope, engine, principal.user_id))
        own = own_tools(engine, embedding, principal)
        with user_scope(engine, principal.user_id) as connection:
            found = toolbox(connection, runner, user_id=principal.user_id, scopes=principal.scopes, remotes=remotes, own=own)
        return lambda _connection: found

    return ask
