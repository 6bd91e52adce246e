"""The tools that MCP's conformance suite calls. `make clients` adds this file to the plugins of its stack."""

from parley.tools.decorator import tool
from parley.tools.spec import Tool, ToolFailed, ToolSpec


@tool
def test_simple_text() -> str:
    """Return a text."""
    return "This is a simple text response for testing."


@tool
def test_error_handling() -> str:
    """Fail."""
    raise ToolFailed("This tool intentionally returns an error for testing")


@tool
def test_logging_tool() -> str:
    """Return a text. The suite checks that the server sends no log messages that its client has not asked for."""
    return "Done."


# The suite expects to read exactly this schema, with each of its keywords.
_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
json_schema_tool = Tool(
    ToolSpec("json_schema_2020_12_tool", "Tool with JSON Schema 2020-12 features", _SCHEMA, "plugin"),
    lambda arguments, _context: dict(arguments),
)
