"""What the routes of remote MCP servers take and give."""

import re
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from parley.db.mcp_servers import McpServer
from parley.http.schemas import Input, Output, Timestamp
from parley.tools.mcp import SERVER_NAME

_URL = r"^https?://[^\s/?#@]+(/[^\s#]*)?(\?[^\s#]*)?$"
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # a token of RFC 9110
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?")
# What the connection itself says.
_RESERVED = {"host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade", "te", "accept", "accept-encoding"}
_MOST_HEADERS = 20


def _header_value(value: str) -> str:
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError("a header's value is printable ASCII")
    return value


HeaderValue = Annotated[str, Field(max_length=4000), AfterValidator(_header_value)]
Headers = Annotated[dict[str, HeaderValue], Field(max_length=_MOST_HEADERS)]


class NewMcpServer(Input):
    """POST /tools/mcp-servers. The server's tools are called `name.tool`; `headers` go along with every call of it."""

    name: Annotated[str, Field(pattern=SERVER_NAME, examples=["notes"])]
    url: Annotated[str, Field(max_length=2000, pattern=_URL, examples=["https://mcp.example.com/mcp"])]
    headers: Headers = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_headers_that_may_be_set(self) -> Self:
        for name in self.headers:
            if not _HEADER_NAME.fullmatch(name) or name.lower() in _RESERVED or name.lower().startswith("mcp-"):
                raise ValueError(f"the header {name[:100]!r} cannot be set")
        return self


class MadeMcpServerOut(Output):
    """A new server. What opens it is never shown again."""

    id: UUID
    name: str
    url: str
    created_at: Timestamp


class McpServerOut(MadeMcpServerOut):
    """A server as it is listed: its tools' own names, when it was last asked, and why it did not answer then."""

    tools: list[str]
    listed_at: Timestamp | None
    error: str | None

    @classmethod
    def of(cls, server: McpServer) -> Self:
        """Show a server."""
        made = MadeMcpServerOut.model_validate(server).model_dump(mode="python")
        return cls(**made, tools=[tool["name"] for tool in server.tools], listed_at=server.listed_at, error=server.error)
