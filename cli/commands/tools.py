"""`parley tools`: list, configure and call tools; add and remove remote MCP servers."""

import json
from urllib.parse import quote

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.errors import CliError
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import ListGroup, Table, all_items, json_option, short_id
from cli.options import with_api_or_key
from cli.output import one_line, plain_text, shortened

TOOLS_PATH = "/tools"
MCP_SERVERS_PATH = "/tools/mcp-servers"
# Command, field of the tool, its new value, help text.
TOOL_SETTINGS = (
    ("enable", "enabled", True, "Let models use a tool."),
    ("disable", "enabled", False, "Hide a tool from all models."),
    ("ask", "requires_approval", True, "Require approval for each call of a tool."),
    ("trust", "requires_approval", False, "Let a tool run without approval, unless the tool itself or untrusted text requires it."),
)


@click.group(cls=ListGroup)
def mcp() -> None:
    """List, add, refresh and remove remote MCP servers."""


@mcp.command("list")
@json_option
@with_api_or_key
def list_mcp_servers(api: ApiClient, as_json: bool) -> None:
    """List your servers, newest first, with the result of the last contact."""
    SERVER_TABLE.show(list(all_items(api, MCP_SERVERS_PATH)), as_json=as_json)


@mcp.command()
@click.argument("name")
@click.argument("address")
@click.option("--header", "headers", metavar="'NAME: VALUE'", multiple=True, help="Send this header with every call; can be repeated.")
@with_api_or_key
def add(api: ApiClient, name: str, address: str, headers: tuple[str, ...]) -> None:
    """Add the MCP server at ADDRESS. Its tools are named NAME.tool."""
    body = {"name": name, "url": address, "headers": dict(map(_parse_header, headers))}
    created = Fields.of(api.fetch(HttpCall("POST", MCP_SERVERS_PATH, {field: value for field, value in body.items() if value})))
    listed = next((server for server in all_items(api, MCP_SERVERS_PATH) if server.text("id") == created.text("id")), Fields())
    click.echo(f"Added {one_line(name)}: {_server_tools(listed)}")


@mcp.command()
@click.argument("server", metavar="NAME")
@with_api_or_key
def refresh(api: ApiClient, server: str) -> None:
    """Ask an MCP server for its tools again. NAME may also be the server's id."""
    path = f"{MCP_SERVERS_PATH}/{quote(_find_server(api, server).text('id'), safe='')}/refresh"
    refreshed = Fields.of(api.fetch(HttpCall("POST", path)))
    if refreshed.text("error"):
        raise CliError(f"{one_line(refreshed.text('name'))} did not list its tools: {one_line(refreshed.text('error'))}")
    click.echo(f"{one_line(refreshed.text('name'))}: {_server_tools(refreshed)}")


@mcp.command()
@click.argument("server", metavar="NAME")
@terminal_input.yes_option
@with_api_or_key
def remove(api: ApiClient, server: str, yes: bool) -> None:
    """Remove an MCP server with its tools and their settings. NAME may also be the server's id."""
    found = _find_server(api, server)
    label = f"the MCP server {one_line(found.text('name'))!r} ({one_line(found.text('url'))})"
    terminal_input.require_confirmation(f"Remove {label}?", yes=yes)
    api.fetch(HttpCall("DELETE", f"{MCP_SERVERS_PATH}/{quote(found.text('id'), safe='')}"))
    click.echo(f"Removed {label}")


def _find_server(api: ApiClient, given: str) -> Fields:
    for server in all_items(api, MCP_SERVERS_PATH):
        if given in (server.text("name"), server.text("id"), short_id(server.text("id"))):
            return server
    raise CliError(f"There is no MCP server {one_line(given)!r}. To list them: parley tools mcp")


def _parse_header(given: str) -> tuple[str, str]:
    name, colon, value = given.partition(":")
    if not (name.strip() and colon):
        raise click.BadParameter("a header must have the form 'NAME: VALUE'")
    return name.strip(), value.strip()


def _server_tools(server: Fields) -> str:
    tools = server.get("tools")
    names = [str(name) for name in tools] if isinstance(tools, list) else []
    error = one_line(server.text("error"))
    summary = shortened(", ".join(names), characters=60) if names else "no tools yet"
    return f"{summary} ({error})" if error else summary


def _server_row(server: Fields) -> tuple[str, ...]:
    return short_id(server.text("id")), one_line(server.text("name")), shortened(server.text("url"), characters=50), _server_tools(server)


SERVER_TABLE = Table(("id", "name", "address", "tools"), _server_row, "No MCP servers yet. Add one: parley tools mcp add NAME ADDRESS")


@click.group(cls=ListGroup)
def tools() -> None:
    """List, configure and call tools, and add remote MCP servers."""


@tools.command("list")
@json_option
@with_api_or_key
def list_tools(api: ApiClient, as_json: bool) -> None:
    """List all tools by name, including disabled tools."""
    TOOL_TABLE.show(list(all_items(api, TOOLS_PATH)), as_json=as_json)


@tools.command()
@click.argument("name")
@click.argument("arguments", nargs=-1, metavar="[FIELD=VALUE]...")
@with_api_or_key
def invoke(api: ApiClient, name: str, arguments: tuple[str, ...]) -> None:
    """Call a tool: `parley tools invoke calculator expression="12.5% of 840"`.

    A VALUE that is valid JSON is parsed, unless the tool takes text for the FIELD.
    """
    given = dict(map(_split_argument, arguments))
    texts = _text_fields(api, name) if any(_parsed(value) != value for value in given.values()) else set()
    parsed = {field: value if field in texts else _parsed(value) for field, value in given.items()}
    call = HttpCall("POST", f"{_tool_path(name)}/invoke", {"arguments": parsed})
    outcome = Fields.of(api.fetch(call))
    if outcome.get("ok") is not True:
        raise CliError(one_line(outcome.text("content")) or "The tool failed without a message. Try again, or check the server's log.")
    click.echo(plain_text(outcome.text("content")).rstrip("\n"))


def _setting_command(command: str, field: str, value: bool, help_text: str) -> click.Command:
    """Return a command that sets one field of a tool."""

    @click.command(command, help=help_text)
    @click.argument("name")
    @with_api_or_key
    def change(api: ApiClient, name: str) -> None:
        tool = Fields.of(api.fetch(HttpCall("PUT", _tool_path(name), {field: value})))
        click.echo(f"{one_line(tool.text('name'))} is {_tool_state(tool)}")

    return change


def _tool_path(name: str) -> str:
    return f"{TOOLS_PATH}/{quote(name, safe='')}"


def _split_argument(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{given!r} does not have the form FIELD=VALUE")
    return name, value


def _parsed(value: str) -> object:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _text_fields(api: ApiClient, name: str) -> set[str]:
    """Return the tool's fields that take nothing but text, by its schema. An unknown tool has none: calling it says so."""
    tool = next((tool for tool in all_items(api, TOOLS_PATH) if tool.text("name") == name), Fields())
    properties = Fields.of(Fields.of(tool.get("parameters")).get("properties"))
    return {field for field in properties if Fields.of(properties.get(field)).get("type") == "string"}


def _tool_state(tool: Fields) -> str:
    if tool.get("enabled") is not True:
        return "off"
    return "on, needs approval" if tool.get("requires_approval") is True else "on"


def _tool_row(tool: Fields) -> tuple[str, ...]:
    return one_line(tool.text("name")), one_line(tool.text("source")), _tool_state(tool), shortened(tool.text("description"), characters=60)


TOOL_TABLE = Table(("name", "source", "status", "description"), _tool_row, "No tools. The server's operator can enable some.")


tools.add_command(mcp)


for setting in TOOL_SETTINGS:
    tools.add_command(_setting_command(*setting))
