"""What the tools function works with, made once for each worker."""

from dataclasses import dataclass

from sqlalchemy import Engine

from parley.auth.principal import Principal
from parley.db.scope import principal_scope
from parley.limits import Allowance
from parley.tools.remotes import Remotes
from parley.tools.runner import ToolRunner
from parley.tools.toolbox import Toolbox, toolbox


@dataclass(frozen=True, slots=True)
class Desk:
    """The database, who runs tools, the remote servers, and how often a user may call."""

    engine: Engine
    runner: ToolRunner
    remotes: Remotes
    allowance: Allowance

    def toolbox(self, principal: Principal) -> Toolbox:
        """Return the caller's tools. Raises Unauthorized and Unavailable."""
        # Asked before the transaction, which gets what has been kept.
        self.runner.specs()
        with principal_scope(self.engine, principal) as connection:
            return toolbox(connection, self.runner, user_id=principal.user_id, scopes=principal.scopes, remotes=self.remotes)
