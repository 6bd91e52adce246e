"""The tools that turns offer: the deployment's, those of MCP servers, and this function's own."""

from collections.abc import Callable

from sqlalchemy import Connection, Engine

from functions.chat.toolbox import Toolbox, ToolboxFor
from parley.auth.principal import Principal
from parley.embedding import Embedding
from parley.own_tools import own_tools
from parley.tools.remotes import Remotes
from parley.tools.runner import ToolRunner
from parley.tools.toolbox import toolbox


def make_toolbox_for(engine: Engine, runner: ToolRunner, remotes: Remotes, embedding: Embedding) -> ToolboxFor:
    """Return what gives each user their tools; which ones the runner has is asked before the transaction."""

    def ask(principal: Principal) -> Callable[[Connection], Toolbox]:
        runner.specs()
        own = own_tools(engine, embedding, principal)

        def look(connection: Connection) -> Toolbox:
            return toolbox(connection, runner, user_id=principal.user_id, scopes=principal.scopes, remotes=remotes, own=own)

        return look

    return ask
