"""What the tool runner is told to do."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from parley.tools.spec import MAX_TIMEOUT_S


class _Order(BaseModel):
    # What a user wrote is in there, and errors are logged.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class ListOrder(_Order):
    """Say what there is."""

    op: Literal["list"]


class RunOrder(_Order):
    """Run a tool for a user, whom the caller names: not the model, nor anybody's arguments."""

    op: Literal["run"]
    name: str
    arguments: dict[str, Any]
    user_id: UUID
    timeout_s: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)] = MAX_TIMEOUT_S


class McpServerIn(_Order):
    """Where a remote MCP server is, and the headers that open it: for this one call."""

    url: str
    headers: dict[str, str] = Field(default_factory=dict, repr=False)


class McpListOrder(_Order):
    """Ask a remote MCP server for its tools."""

    op: Literal["mcp_list"]
    server: McpServerIn
    timeout_s: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)]


class McpCallOrder(_Order):
    """Run a tool of a remote MCP server."""

    op: Literal["mcp_call"]
    server: McpServerIn
    name: str
    arguments: dict[str, Any]
    timeout_s: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)]


type Order = ListOrder | RunOrder | McpListOrder | McpCallOrder

_ORDER: TypeAdapter[Order] = TypeAdapter(Annotated[ListOrder | RunOrder | McpListOrder | McpCallOrder, Field(discriminator="op")])


def read_order(event: dict[str, Any]) -> Order:
    """Read the event. Raises ValidationError for one that is no order."""
    return _ORDER.validate_python(event)
