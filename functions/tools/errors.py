"""What can go wrong with tools and the servers that bring them."""

from parley.errors import ParleyError


class ToolDisabled(ParleyError):
    """The tool is off for this user."""

    status, code = 409, "tool_disabled"
    public_message = "This tool is off. Enable it first."


class NameTaken(ParleyError):
    """The user or the deployment has a server of this name: its tools would be called the same."""

    status, code = 409, "name_taken"
    public_message = "There is an MCP server of this name already. Choose another name, or remove that one."


class TooManyMcpServers(ParleyError):
    """The user has as many servers as anybody may have."""

    status, code = 409, "too_many_mcp_servers"

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} MCP servers")
        self.public_message = f"You have {limit} MCP servers, the most there can be. Remove one first."
