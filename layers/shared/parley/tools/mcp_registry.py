"""The MCP servers that a user may call: the deployment's and their own. Headers are decrypted when a tool is called."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self
from uuid import UUID

from parley.auth.encryption import TextCipher, key_store_cipher
from parley.db import mcp_servers
from parley.db.engine import Connection
from parley.db.mcp_servers import McpServer
from parley.errors import ParleyError
from parley.settings import ToolSettings
from parley.tools.mcp import (
    Elicitation,
    McpClient,
    McpEndpoint,
    McpTool,
    RunnerMcpClient,
    SendToRunner,
    mcp_tool_specs,
    parse_deployment_servers,
)
from parley.tools.outcome import ToolOutcome
from parley.tools.spec import ToolSpec

type LoadEndpoint = Callable[[], McpEndpoint]
type RunnableTool = tuple[ToolSpec, Callable[[Mapping[str, Any], float, Elicitation | None], ToolOutcome]]


@dataclass(frozen=True, slots=True)
class McpRegistry:
    """The MCP client, the deployment's servers, and the cipher for the headers of users' servers."""

    client: McpClient
    deployment: Sequence[McpEndpoint]
    cipher: TextCipher

    @classmethod
    def of(cls, settings: ToolSettings, ask: SendToRunner) -> Self:
        """Return the registry for a function's settings; `ask` is `Invoker.ask`. Raises ValueError for invalid `mcp_servers`."""
        return cls(RunnerMcpClient(ask), parse_deployment_servers(settings.mcp_servers), key_store_cipher(settings.keys_path))

    def tools(self, connection: Connection, *, user_id: UUID) -> Iterator[RunnableTool]:
        """Yield each discovered tool with the function that runs it; the deployment's servers come first."""
        listings = mcp_servers.deployment_listings(connection, [server.name for server in self.deployment]) if self.deployment else {}
        for server in self.deployment:
            if server.name in listings:
                yield from self._tools(server.name, listings[server.name].tools, partial(same_endpoint, server))
        for user_server in mcp_servers.list_all(connection, user_id=user_id):
            yield from self._tools(user_server.name, user_server.tools, partial(self.load_endpoint, user_server, user_id=user_id))

    def load_endpoint(self, server: McpServer, *, user_id: UUID) -> McpEndpoint:
        """Return a user's server with its decrypted headers and query. Raises DecryptionFailed and Unavailable."""
        headers, query = decrypt_credentials(self.cipher, server.headers, server.id, user_id=user_id)
        return McpEndpoint(server.name, f"{server.url}{query}", headers)

    def _tools(self, server: str, listed: Sequence[Mapping[str, Any]], load_endpoint: LoadEndpoint) -> Iterator[RunnableTool]:
        for spec in mcp_tool_specs(server, listed):
            yield spec, partial(self._call, load_endpoint, McpTool(spec.name.removeprefix(f"{server}."), spec.parameters))

    def _call(
        self,
        load_endpoint: LoadEndpoint,
        tool: McpTool,
        arguments: Mapping[str, Any],
        timeout_s: float,
        elicitation: Elicitation | None,
    ) -> ToolOutcome:
        try:
            server = load_endpoint()
        except ParleyError as exc:
            return ToolOutcome(False, f"The server's headers could not be decrypted: {exc.public_message}")
        return self.client.call_tool(server, tool, arguments, timeout_s=timeout_s, elicitation=elicitation)


def same_endpoint(server: McpEndpoint) -> McpEndpoint:
    """Return `server`: the `LoadEndpoint` of a deployment's server, whose headers are not encrypted."""
    return server


def split_query(url: str) -> tuple[str, str]:
    """Return the URL without its query, and the query with its question mark, or an empty string if the URL has none."""
    address, mark, query = url.partition("?")
    return address, mark + query


def encrypt_credentials(cipher: TextCipher, headers: Mapping[str, str], server_id: UUID, *, user_id: UUID, query: str = "") -> bytes | None:
    """Encrypt a server's headers and the query of its URL, for the server's row. Some servers expect their key in the query.

    Return None if both are empty.
    """
    if not headers and not query:
        return None
    return cipher.encrypt(json.dumps({"headers": dict(headers), "query": query}), context=headers_context(server_id, user_id=user_id))


def decrypt_credentials(cipher: TextCipher, encrypted: bytes | None, server_id: UUID, *, user_id: UUID) -> tuple[dict[str, str], str]:
    """Return a server's headers and the query of its URL. Raises DecryptionFailed and Unavailable."""
    if not encrypted:
        return {}, ""
    stored = json.loads(cipher.decrypt(encrypted, context=headers_context(server_id, user_id=user_id)))
    # Rows that earlier versions wrote contain only the headers.
    return (stored["headers"], stored["query"]) if isinstance(stored.get("headers"), dict) else (stored, "")


def headers_context(server_id: UUID, *, user_id: UUID) -> str:
    """Return the encryption context of a server's headers: the id of their row, so that a copy in another row cannot be decrypted."""
    return f"mcp_servers/{user_id}/{server_id}"
