"""The remote MCP servers that a user may call: the deployment's and their own. What opens them is unsealed at the call."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Connection

from parley.auth.key_store import load_sealing_key
from parley.auth.sealing import Seal
from parley.db import mcp_servers
from parley.db.mcp_servers import McpServer
from parley.errors import ParleyError
from parley.settings import ToolSettings
from parley.tools.mcp_calls import Ask, McpCalls
from parley.tools.outcome import Outcome
from parley.tools.remote import RemoteCalls, RemoteServer, deployment_servers, specs
from parley.tools.spec import ToolSpec

type Reach = Callable[[], RemoteServer]
type Runnable = tuple[ToolSpec, Callable[[Mapping[str, Any], float], Outcome]]


@dataclass(frozen=True, slots=True)
class Remotes:
    """Who calls servers, the servers of the deployment, and the seal of the users' headers."""

    calls: RemoteCalls
    deployment: Sequence[RemoteServer]
    seal: Seal

    @classmethod
    def of(cls, settings: ToolSettings, ask: Ask) -> Self:
        """Make it from a function's settings; `ask` is the invoker's. Raises ValueError for `mcp_servers` that are no list of servers."""
        seal = Seal(partial(load_sealing_key, settings.keys_path))
        return cls(McpCalls(ask), deployment_servers(settings.mcp_servers), seal)

    def tools(self, connection: Connection, *, user_id: UUID) -> Iterator[Runnable]:
        """Yield each tool that a server has been heard to offer, with what runs it; the deployment's servers come first."""
        listings = mcp_servers.deployments(connection, [server.name for server in self.deployment]) if self.deployment else {}
        for server in self.deployment:
            if server.name in listings:
                yield from self._tools(server.name, listings[server.name].tools, partial(_itself, server))
        for mine in mcp_servers.all_of(connection, user_id=user_id):
            yield from self._tools(mine.name, mine.tools, partial(self.reach, mine, user_id=user_id))

    def reach(self, server: McpServer, *, user_id: UUID) -> RemoteServer:
        """Unseal what opens a user's server. Raises SealBroken and Unavailable."""
        headers = self.seal.open(server.headers, place=place_of(server.id, user_id=user_id)) if server.headers else "{}"
        return RemoteServer(server.name, server.url, json.loads(headers))

    def _tools(self, server: str, listed: Sequence[Mapping[str, Any]], reach: Reach) -> Iterator[Runnable]:
        for spec in specs(server, listed):
            yield spec, partial(self._call, reach, spec.name.removeprefix(f"{server}."))

    def _call(self, reach: Reach, name: str, arguments: Mapping[str, Any], timeout_s: float) -> Outcome:
        try:
            server = reach()
        except ParleyError as exc:
            return Outcome(False, f"The server's headers cannot be read: {exc.public_message}", 0.0)
        return self.calls.call_tool(server, name, arguments, timeout_s=timeout_s)


def _itself(server: RemoteServer) -> RemoteServer:
    return server


def sealed_headers(seal: Seal, headers: Mapping[str, str], server_id: UUID, *, user_id: UUID) -> bytes | None:
    """Seal a user's headers for one server's row; None where there are none."""
    return seal.close(json.dumps(dict(headers)), place=place_of(server_id, user_id=user_id)) if headers else None


def place_of(server_id: UUID, *, user_id: UUID) -> str:
    """Name the row that headers are sealed for."""
    return f"mcp_servers/{user_id}/{server_id}"
