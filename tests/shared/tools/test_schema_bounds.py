import pytest

from parley.tools.mcp import MAX_LISTING_BYTES, usable_tools
from parley.tools.schema_bounds import SchemaTooComplex, check_schema
from tests.fakes.tool_servers import mcp_tool


def doubling(levels):
    """Return a schema in which each definition refers to the next one twice: its check takes 2 ** levels steps."""
    definitions = {f"d{number}": {"allOf": [{"$ref": f"#/$defs/d{number + 1}"}] * 2} for number in range(levels)}
    return {"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": definitions | {f"d{levels}": {"type": "string"}}}


def nested(levels):
    return {"type": "object", "properties": {"a": nested(levels - 1)}} if levels else {"type": "string"}


TOO_COMPLEX = {
    "doubling references": doubling(20),
    "a schema that refers to itself": {"type": "object", "$ref": "#"},
    "a definition that refers to itself": {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/Tree"}},
        "$defs": {"Tree": {"properties": {"left": {"$ref": "#/$defs/Tree"}}}},
    },
    "a reference by context": {"type": "object", "properties": {"a": {"$dynamicRef": "#node"}}},
    "a base of its own": {"type": "object", "properties": {"a": {"$id": "https://example.com/", "$ref": "#/b"}}},
    "a reference to elsewhere": {"type": "object", "properties": {"a": {"$ref": "https://example.com/schema"}}},
    "a reference to nothing": {"type": "object", "properties": {"a": {"$ref": "#/$defs/missing"}}},
    "deep nesting": nested(20),
    "many references": {"type": "object", "allOf": [{"$ref": "#/$defs/a"}] * 101, "$defs": {"a": {}}},
    "many nodes": {"type": "object", "properties": {str(number): {"type": "string"} for number in range(5_000)}},
}


@pytest.mark.parametrize("name", TOO_COMPLEX)
def test_a_schema_that_could_explode_is_refused(name):
    with pytest.raises(SchemaTooComplex):
        check_schema(TOO_COMPLEX[name])


def test_a_tool_with_such_a_schema_is_left_out_and_the_others_stay():
    assert [tool["name"] for tool in usable_tools([mcp_tool("bomb", parameters=doubling(20)), mcp_tool()])] == ["echo"]


@pytest.mark.parametrize(
    "schema", [doubling(3), nested(10), {"type": "object", "$id": "https://example.com/tool"}], ids=["references", "nesting", "id"]
)
def test_a_schema_as_servers_write_it_is_accepted(schema):
    check_schema(schema)


def test_all_tools_of_a_server_together_have_a_bounded_size():
    large = {"type": "object", "description": "x" * 16_000}
    tools = usable_tools([mcp_tool(f"t{number}", parameters=large) for number in range(100)])

    assert 10 <= len(tools) <= MAX_LISTING_BYTES // 16_000
