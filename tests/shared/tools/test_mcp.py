import pytest

from parley.tools.mcp import mcp_tool_specs, parse_deployment_servers, usable_tools
from tests.fakes.tool_servers import mcp_tool


def test_a_deployments_servers_are_json():
    (server,) = parse_deployment_servers('[{"name": "team", "url": "https://mcp.example.com/mcp", "headers": {"X-Key": "k"}}]')

    assert (server.name, server.url, server.headers) == ("team", "https://mcp.example.com/mcp", {"X-Key": "k"})


def test_a_deployment_may_have_no_servers():
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
def test_invalid_servers_are_refused_without_repeating_them(text):
    with pytest.raises(ValueError) as refused:
        parse_deployment_servers(text)

    assert "https://" not in str(refused.value)


def test_at_most_a_hundred_tools_are_used():
    assert len(usable_tools([mcp_tool(f"t{number}") for number in range(200)])) == 100


def test_descriptions_have_a_bounded_length():
    (tool,) = usable_tools([mcp_tool(description="x" * 10_000)])

    assert len(tool["description"]) == 2_000


def test_a_servers_claim_to_be_harmless_is_ignored():
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
def test_an_unstorable_schema_drops_its_own_tool_only(parameters):
    assert [tool["name"] for tool in usable_tools([mcp_tool("bomb", parameters=parameters), mcp_tool()])] == ["echo"]


def test_an_escaped_backslash_before_u0000_is_not_a_nul():
    assert len(usable_tools([mcp_tool(parameters={"type": "object", "description": "C:\\\\u0000"})])) == 1
