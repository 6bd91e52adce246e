"""The requests that the tool runner accepts."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from parley.tools.spec import MAX_TIMEOUT_S


class _Request(BaseModel):
    # What a user wrote is in there, and errors are logged.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class ListRequest(_Request):
    """Say what there is."""

    op: Literal["list"]


class RunRequest(_Request):
    """Run a tool for a user, whom the caller names: not the model, nor anybody's arguments."""

    op: Literal["run"]
    name: str
    arguments: dict[str, Any]
    user_id: UUID
    timeout_s: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)] = MAX_TIMEOUT_S


class McpServerAddress(_Request):
    """Where a remote MCP server is, and the headers that open it: for this one call."""

    url: str
    headers: dict[str, str] = Field(default_factory=dict, repr=False)


class McpListRequest(_Request):
    """Ask a remote MCP server for its tools."""

    op: Literal["mcp_list"]
    server: McpServerAddress
    timeout_s: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)]


class McpCallRequest(_Request):
    """Run a tool of a remote MCP server."""

    op: Literal["mcp_call"]
    server: McpServerAddress
    name: str
    arguments: dict[str, Any]
    timeout_s: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)]


type ToolrunnerRequest = ListRequest | RunRequest | McpListRequest | McpCallRequest

_REQUEST: TypeAdapter[ToolrunnerRequest] = TypeAdapter(
    Annotated[ListRequest | RunRequest | McpListRequest | McpCallRequest, Field(discriminator="op")]
)


def parse_request(event: dict[str, Any]) -> ToolrunnerRequest:
    """Read the event. Raises ValidationError for one that is no order."""
    return _REQUEST.validate_python(event)
