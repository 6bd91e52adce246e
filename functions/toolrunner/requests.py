"""The requests that the tool runner accepts."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from parley.tools.spec import MAX_TIMEOUT_S


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ListRequest(_Request):
    """List the tools."""

    op: Literal["list"]


class RunRequest(_Request):
    """Run a tool for a user. The caller sets `user_id`; neither the model nor the arguments can."""

    op: Literal["run"]
    name: str
    arguments: dict[str, Any]
    user_id: UUID
    timeout_s: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)] = MAX_TIMEOUT_S


class McpServerAddress(_Request):
    """The URL of a remote MCP server, and the headers that authenticate this one request."""

    url: str
    headers: dict[str, str] = Field(default_factory=dict, repr=False)


class McpListRequest(_Request):
    """List the tools of a remote MCP server."""

    op: Literal["mcp_list"]
    server: McpServerAddress
    timeout_s: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)]


class ElicitationRequest(_Request):
    """The question of a server that a call continues: its id, and the server's opaque state."""

    id: str
    state: str | None


class ElicitationAnswer(_Request):
    """The user's answers to a question of a server. They are null if the user declined."""

    request: ElicitationRequest
    answers: dict[str, Any] | None


class McpCallRequest(_Request):
    """Run a tool of a remote MCP server, if the arguments match the JSON schema `parameters`.

    With `may_ask`, a question of the tool to its user is returned, and a further request with its `answer` continues the call.
    """

    op: Literal["mcp_call"]
    server: McpServerAddress
    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    arguments: dict[str, Any]
    may_ask: bool = False
    answer: ElicitationAnswer | None = None
    timeout_s: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)]


class FetchJsonRequest(_Request):
    """Fetch a public JSON document."""

    op: Literal["fetch_json"]
    url: Annotated[str, Field(max_length=500)]
    timeout_s: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)]


class SearchWebRequest(_Request):
    """Search the web. `url` replaces the engine's public address, and is the address of a SearXNG server."""

    op: Literal["search_web"]
    engine: Literal["tavily", "brave", "exa", "searxng"]
    url: Annotated[str, Field(max_length=500)] = ""
    key: Annotated[str, Field(max_length=500, repr=False)] = ""
    query: Annotated[str, Field(min_length=1, max_length=1000)]
    timeout_s: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)]


class PostEventRequest(_Request):
    """Send a signed event to a user's web hook. `body` is the JSON text that the headers sign."""

    op: Literal["post_event"]
    url: Annotated[str, Field(max_length=2000, repr=False)]
    headers: dict[str, str] = Field(repr=False)
    body: Annotated[str, Field(max_length=100_000, repr=False)]
    timeout_s: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)]


type ToolrunnerRequest = ListRequest | RunRequest | McpListRequest | McpCallRequest | FetchJsonRequest | SearchWebRequest | PostEventRequest

_REQUEST: TypeAdapter[ToolrunnerRequest] = TypeAdapter(
    Annotated[
        ListRequest | RunRequest | McpListRequest | McpCallRequest | FetchJsonRequest | SearchWebRequest | PostEventRequest,
        Field(discriminator="op"),
    ],
    # Errors are logged without the input, which may contain a user's words. Of a union, the models' own setting has no effect.
    config=ConfigDict(hide_input_in_errors=True),
)


def parse_request(event: dict[str, Any]) -> ToolrunnerRequest:
    """Parse a Lambda event. Raises ValidationError if it is not a request."""
    return _REQUEST.validate_python(event)
