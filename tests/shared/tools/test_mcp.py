import pytest

from parley.tools.mcp import MAX_TOOLS, mcp_tool_specs, parse_deployment_servers, usable_tools
from tests.fakes.tool_servers import mcp_tool


def test_a_deployer_names_servers_in_json():
    (server,) = parse_deployment_servers('[{"name": "team", "url": "https://mcp.example.com/mcp", "headers": {"X-Key": "k"}}]')

    assert (server.name, server.url, server.headers) == ("team", "https://mcp.example.com/mcp", {"X-Key": "k"})


def test_a_deployer_may_name_none():
    assert parse_deployment_servers("") == []


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"name": "team"}',
        '[{"name": "team"}]',
        '[{"name": "No Name", "url": "https://mcp.example.com"}]',
        '[{"name": "team", "url": "file:///etc/passwd"}]',
        '[{"name": "a", "url": "https://b"}, {"name": "a", "url": "https://c"}]',
        "7",
    ],
)
def test_anything_else_is_refused_without_being_repeated(text):
    with pytest.raises(ValueError) as refused:
        parse_deployment_servers(text)

    assert "https://" not in str(refused.value)


def test_a_hundred_tools_are_taken():
    assert len(usable_tools([mcp_tool(f"t{number}") for number in range(200)])) == MAX_TOOLS


def test_words_have_a_bounded_length():
    (tool,) = usable_tools([mcp_tool(description="x" * 10_000)])

    assert len(tool["description"]) == 2_000


def test_what_a_server_says_of_its_harmlessness_is_not_believed():
    (spec,) = mcp_tool_specs("notes", usable_tools([mcp_tool(annotations={"readOnlyHint": True}, writes=False)]))

    assert (spec.name, spec.source, spec.egress, spec.writes) == ("notes.echo", "mcp", True, True)


def _nested(depth):
    schema = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"x": schema}}
    return schema


BOMBS = {
    "large": {"type": "object", "description": "x" * 20_000},
    "nested": _nested(5000),
    "a zero": {"type": "object", "description": "a\0b"},
    "a zero in a key": {"type": "object", "properties": {"a\0b": {}}},
    "no number": {"type": "object", "default": float("nan")},
    "half a character": {"type": "object", "description": "\ud800"},
}


@pytest.mark.parametrize("parameters", BOMBS.values(), ids=BOMBS)
def test_a_schema_that_cannot_be_kept_takes_its_own_tool_along_and_no_other(parameters):
    assert [tool["name"] for tool in usable_tools([mcp_tool("bomb", parameters=parameters), mcp_tool()])] == ["echo"]


def test_a_backslash_in_a_schema_is_none_of_a_zero():
    assert len(usable_tools([mcp_tool(parameters={"type": "object", "description": "C:\\\\u0000"})])) == 1
