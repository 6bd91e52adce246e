"""Request and response models of tools and remote MCP servers."""

import re
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from parley.db.mcp_servers import McpServer
from parley.http.schemas import Input, Output, Timestamp
from parley.tools.mcp import SERVER_NAME
from parley.tools.spec import ToolSource
from parley.tools.toolbox import OfferedTool


class ToolChange(Input):
    """PUT /tools/{id}. Omitted fields stay unchanged; null restores the tool's default."""

    enabled: bool | None = None
    requires_approval: bool | None = None

    def columns(self) -> dict[str, bool | None]:
        """Return the given fields by their column names."""
        fields = self.model_dump(exclude_unset=True)
        return {{"enabled": "is_enabled"}.get(name, name): value for name, value in fields.items()}


class InvokeIn(Input):
    """POST /tools/{id}/invoke."""

    arguments: dict[str, Any]


class ToolOut(Output):
    """A tool with the user's settings. `parameters` is the JSON schema of its arguments."""

    name: str
    description: str
    parameters: dict[str, Any]
    source: ToolSource
    enabled: bool
    requires_approval: bool

    @classmethod
    def of(cls, tool: OfferedTool) -> Self:
        """Render a tool."""
        spec = tool.spec
        return cls(
            name=spec.name,
            description=spec.description,
            parameters=dict(spec.parameters),
            source=spec.source,
            enabled=tool.is_enabled,
            requires_approval=tool.requires_approval,
        )


class OutcomeOut(Output):
    """The outcome of a tool call. If `ok` is false, `content` explains the failure."""

    ok: bool
    content: str
    elapsed_ms: Annotated[float, Field(ge=0)]


URL_PATTERN = r"^https?://[^\s/?#@]+(/[^\s#]*)?(\?[^\s#]*)?$"
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # a token of RFC 9110
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?")
# Headers that the HTTP client sets itself.
_RESERVED_HEADERS = {
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "accept",
    "accept-encoding",
}
_MAX_HEADERS = 20


def _check_header_value(value: str) -> str:
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError("a header value must be printable ASCII")
    return value


HeaderValue = Annotated[str, Field(max_length=4000), AfterValidator(_check_header_value)]
Headers = Annotated[dict[str, HeaderValue], Field(max_length=_MAX_HEADERS)]


class McpServerIn(Input):
    """POST /tools/mcp-servers. The server's tools are named `name.tool`. Every request to the server carries `headers`."""

    name: Annotated[str, Field(pattern=SERVER_NAME, examples=["notes"])]
    url: Annotated[str, Field(max_length=2000, pattern=URL_PATTERN, examples=["https://mcp.example.com/mcp"])]
    headers: Headers = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_header_names(self) -> Self:
        for name in self.headers:
            if not _HEADER_NAME.fullmatch(name) or name.lower() in _RESERVED_HEADERS or name.lower().startswith("mcp-"):
                raise ValueError(f"the header {name[:100]!r} cannot be set")
        return self


class CreatedMcpServerOut(Output):
    """A new MCP server. Its headers and its URL's query, which may contain keys, are never returned."""

    id: UUID
    name: str
    url: str
    created_at: Timestamp


class McpServerOut(CreatedMcpServerOut):
    """An MCP server with the names of its tools.

    `listed_at` is the time of the last attempt to list the tools. If the attempt failed, `error` is the reason.
    """

    tools: list[str]
    listed_at: Timestamp | None
    error: str | None

    @classmethod
    def of(cls, server: McpServer) -> Self:
        """Render a stored server."""
        created = CreatedMcpServerOut.model_validate(server).model_dump(mode="python")
        return cls(**created, tools=[tool["name"] for tool in server.tools], listed_at=server.listed_at, error=server.error)
