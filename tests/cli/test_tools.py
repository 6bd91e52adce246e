"""`parley tools`: list, configure and call tools, and manage remote MCP servers."""

import pytest

from tests.cli import replies

SHOUT = {
    "name": "shout",
    "description": "Says it louder.",
    "parameters": {"type": "object"},
    "source": "plugin",
    "enabled": True,
    "requires_approval": False,
}
SERVER = {
    "id": "0190a1b2-0000-7000-8000-00000000aaaa",
    "name": "notes",
    "url": "https://mcp.example.com/mcp",
    "created_at": "2026-11-01T00:00:00Z",
    "tools": ["read", "write"],
    "listed_at": "2026-11-01T00:00:00Z",
    "error": None,
}
MCP = "/tools/mcp-servers"


def page(*items):
    return replies.reply(200, {"items": list(items), "next_cursor": None})


def test_tools_are_listed_with_their_settings(server, alice, parley):
    off, asking = SHOUT | {"name": "off", "enabled": False}, SHOUT | {"name": "asking", "requires_approval": True}
    server.on("GET /tools", page(SHOUT, off, asking))

    assert parley("tools").stdout.splitlines() == [
        "name    source  status              description",
        "shout   plugin  on                  Says it louder.",
        "off     plugin  off                 Says it louder.",
        "asking  plugin  on, needs approval  Says it louder.",
    ]


@pytest.mark.parametrize(
    ("command", "sent"),
    [
        ("enable", {"enabled": True}),
        ("disable", {"enabled": False}),
        ("ask", {"requires_approval": True}),
        ("trust", {"requires_approval": False}),
    ],
)
def test_a_tools_setting_is_changed(server, alice, parley, command, sent):
    server.on("PUT /tools/notes.read", replies.reply(200, SHOUT | {"name": "notes.read"} | sent))

    assert parley("tools", command, "notes.read").exit_code == 0
    assert server.requests[0].body == sent


def test_a_tool_is_called_with_arguments_parsed_as_json_if_possible(server, alice, parley):
    server.on("GET /tools", page(SHOUT))
    server.on("POST /tools/shout/invoke", replies.reply(200, {"ok": True, "content": "HELLO", "elapsed_ms": 3.0}))

    assert parley("tools", "invoke", "shout", "text=hello = you", "times=2", 'places=["a"]').stdout == "HELLO\n"
    assert server.requests[-1].body == {"arguments": {"text": "hello = you", "times": 2, "places": ["a"]}}


def test_a_value_that_looks_like_a_number_stays_text_where_the_tool_takes_text(server, alice, parley):
    schema = {"type": "object", "properties": {"id": {"type": "string"}, "lines": {"type": "integer"}}}
    server.on("GET /tools", page(SHOUT, SHOUT | {"name": "notes.read", "parameters": schema}))
    server.on("POST /tools/notes.read/invoke", replies.reply(200, {"ok": True, "content": "seven", "elapsed_ms": 3.0}))

    assert parley("tools", "invoke", "notes.read", "id=7", "lines=2").stdout == "seven\n"
    assert server.requests[-1].body == {"arguments": {"id": "7", "lines": 2}}


def test_a_tool_that_fails_says_why(server, alice, parley):
    server.on("POST /tools/shout/invoke", replies.reply(200, {"ok": False, "content": "out of paper", "elapsed_ms": 3.0}))

    result = parley("tools", "invoke", "shout")

    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "out of paper\n")


def test_an_invalid_argument_is_refused_before_anything_is_sent(server, alice, parley):
    assert (parley("tools", "invoke", "shout", "hello").exit_code, server.requests) == (2, [])


def test_a_server_is_added_with_its_headers(server, alice, parley):
    server.on(f"POST {MCP}", replies.reply(201, {name: SERVER[name] for name in ("id", "name", "url", "created_at")}))
    server.on(f"GET {MCP}", page(SERVER))

    result = parley("tools", "mcp", "add", "notes", SERVER["url"], "--header", "Authorization: Bearer abc:def")

    assert result.stdout == "Added notes: read, write\n"
    assert server.requests[0].body == {"name": "notes", "url": SERVER["url"], "headers": {"Authorization": "Bearer abc:def"}}


def test_a_server_that_did_not_answer_says_so(server, alice, parley):
    server.on(f"GET {MCP}", page(SERVER | {"tools": [], "error": "The server could not be reached."}))

    assert "no tools yet (The server could not be reached.)" in parley("tools", "mcp").stdout


@pytest.mark.parametrize("given", ["notes", "0000aaaa", SERVER["id"]])
def test_a_server_is_removed_by_name_or_id(server, alice, parley, given):
    server.on(f"GET {MCP}", page(SERVER))
    server.on(f"DELETE {MCP}/{SERVER['id']}", replies.reply(204))

    assert parley("tools", "mcp", "remove", given, "--yes").stdout.startswith("Removed the MCP server 'notes'")


def test_an_unknown_server_cannot_be_removed(server, alice, parley):
    server.on(f"GET {MCP}", page(SERVER))

    result = parley("tools", "mcp", "remove", "other", "--yes")

    assert (result.exit_code, result.stderr) == (1, "There is no MCP server 'other'. To list them: parley tools mcp\n")


def test_a_servers_tools_are_listed_again(server, alice, parley):
    server.on(f"GET {MCP}", page(SERVER))
    server.on(f"POST {MCP}/{SERVER['id']}/refresh", replies.reply(200, SERVER | {"tools": ["read", "draw"]}))

    assert parley("tools", "mcp", "refresh", "notes").stdout == "notes: read, draw\n"


def test_a_server_that_does_not_list_its_tools_is_an_error(server, alice, parley):
    server.on(f"GET {MCP}", page(SERVER))
    server.on(f"POST {MCP}/{SERVER['id']}/refresh", replies.reply(200, SERVER | {"error": "it does not answer"}))

    result = parley("tools", "mcp", "refresh", "notes")

    assert (result.exit_code, result.stderr) == (1, "notes did not list its tools: it does not answer\n")
