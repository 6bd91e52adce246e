"""The clients that the tool routes use, created once per worker."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from parley.auth.principal import Principal
from parley.db.engine import Engine
from parley.db.transactions import principal_scope
from parley.http.dependencies import FROM_APP
from parley.metering.limits import DefaultLimits
from parley.tools.invoker import ToolRunner
from parley.tools.mcp_registry import McpRegistry
from parley.tools.toolbox import InProcessTool, Toolbox, make_toolbox


@dataclass(frozen=True, slots=True)
class ToolsServices:
    """The database, the tool runner, the MCP servers, the in-process tools, and the default rate limits."""

    engine: Engine
    runner: ToolRunner
    mcp_registry: McpRegistry
    in_process_tools_for: Callable[[Principal], Sequence[InProcessTool]]
    default_limits: DefaultLimits

    def toolbox(self, principal: Principal) -> Toolbox:
        """Return the principal's tools. Raises Unauthorized and Unavailable."""
        # Fill the runner's cache first: no network call should happen inside the transaction.
        self.runner.specs()
        in_process_tools = self.in_process_tools_for(principal)
        with principal_scope(self.engine, principal) as connection:
            return make_toolbox(
                connection,
                self.runner,
                user_id=principal.user_id,
                scopes=principal.scopes,
                mcp_registry=self.mcp_registry,
                in_process_tools=in_process_tools,
            )


ToolsServicesDep = Annotated[ToolsServices, FROM_APP]
