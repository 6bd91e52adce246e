"""Stand-ins for what runs tools elsewhere: they keep what they were asked."""

from parley.tools.mcp import McpToolList
from parley.tools.outcome import ToolOutcome
from parley.tools.spec import ToolSpec

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"], "additionalProperties": False}


def spec_of(name="shout", **fields):
    return ToolSpec(name, f"Does {name}.", TEXT, **{"source": "builtin"} | fields)


class Runner:
    """A `toolrunner` with these tools, which shouts."""

    def __init__(self, *specs):
        self._specs, self.asked = specs or (spec_of(),), []

    def specs(self):
        return self._specs

    def run(self, name, arguments, *, user_id, timeout_s):
        self.asked.append((name, dict(arguments), user_id, timeout_s))
        return ToolOutcome(True, arguments["text"].upper(), 1.0)


class Calls:
    """Remote servers that all offer these tools."""

    def __init__(self, *tools, error=None):
        self._listing, self.asked = McpToolList(list(tools), error), []

    def list_tools(self, server, *, timeout_s):
        self.asked.append((server, timeout_s))
        return self._listing

    def call_tool(self, server, name, arguments, *, timeout_s):
        self.asked.append((server, name, dict(arguments), timeout_s))
        return ToolOutcome(True, f"{name} of {server.name}", 1.0)


def remote_tool(name="echo", **fields):
    return {"name": name, "description": f"Does {name}.", "parameters": TEXT} | fields
