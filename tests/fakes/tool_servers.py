"""A fake tool runner and fake MCP servers that record their calls."""

from parley.tools.arguments import argument_errors, rejected_arguments
from parley.tools.mcp import McpToolList
from parley.tools.outcome import ToolOutcome
from parley.tools.spec import ToolSpec

TEXT_PARAMETERS = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"], "additionalProperties": False}


def make_spec(name="shout", **fields):
    """Return a built-in tool with one required text parameter."""
    return ToolSpec(name, f"Does {name}.", TEXT_PARAMETERS, **{"source": "builtin"} | fields)


class FakeToolRunner:
    """A tool runner that returns its text argument in upper case."""

    def __init__(self, *specs):
        self._specs, self.requests = specs or (make_spec(),), []

    def specs(self):
        return self._specs

    def run(self, name, arguments, *, user_id, timeout_s):
        self.requests.append((name, dict(arguments), user_id, timeout_s))
        return ToolOutcome(True, arguments["text"].upper(), 1.0)


class FakeMcpCalls:
    """MCP servers that all offer the same tools."""

    def __init__(self, *tools, error=None):
        self.listing, self.requests = McpToolList(list(tools), error), []

    def list_tools(self, server, *, timeout_s):
        self.requests.append((server, timeout_s))
        return self.listing

    def call_tool(self, server, tool, arguments, *, timeout_s, elicitation=None):
        if errors := argument_errors(tool.parameters, arguments):  # as the tool runner does
            return rejected_arguments(errors)
        self.requests.append((server, tool.name, dict(arguments), timeout_s))
        return ToolOutcome(True, f"{tool.name} of {server.name}", 1.0)


def mcp_tool(name="echo", **fields):
    """Return a tool as an MCP server lists it."""
    return {"name": name, "description": f"Does {name}.", "parameters": TEXT_PARAMETERS} | fields
