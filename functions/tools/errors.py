"""Errors of tools and MCP servers."""

from parley.errors import InvalidInput, ParleyError


class InvalidToolArguments(InvalidInput):
    """The arguments do not match the tool's schema."""

    public_message = "The arguments do not match the tool's schema."


class ToolDisabled(ParleyError):
    """The user has disabled the tool."""

    status, code = 409, "tool_disabled"
    public_message = "This tool is disabled. Enable it first."


class NameTaken(ParleyError):
    """The user or the deployment already has a server with this name, so their tools' names would collide."""

    status, code = 409, "name_taken"
    public_message = "An MCP server with this name already exists. Choose another name, or remove that server."


class TooManyMcpServers(ParleyError):
    """The user has reached the limit of MCP servers."""

    status, code = 409, "too_many_mcp_servers"

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} MCP servers")
        self.public_message = f"You have {limit} MCP servers, which is the limit. Remove one first."
