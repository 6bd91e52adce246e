"""`parley tools mcp`: remote MCP servers."""

from urllib.parse import quote

import click

from cli import prompts
from cli.api import Api
from cli.connection import Call
from cli.errors import CliError
from cli.fields import Fields
from cli.listing import ListGroup, Table, json_option, pages
from cli.options import with_api_or_key
from cli.short_ids import short
from cli.terminal import line, shortened

PATH = "/tools/mcp-servers"


@click.group(cls=ListGroup)
def mcp() -> None:
    """List, add and remove remote MCP servers."""


@mcp.command("list")
@json_option
@with_api_or_key
def list_all(api: Api, as_json: bool) -> None:
    """List your servers, the newest first, as they answered when they were last asked."""
    SERVERS.show(list(pages(api, PATH)), as_json=as_json)


@mcp.command()
@click.argument("name")
@click.argument("address")
@click.option("--header", "headers", metavar="'NAME: VALUE'", multiple=True, help="Goes along with every call; repeat it for more.")
@with_api_or_key
def add(api: Api, name: str, address: str, headers: tuple[str, ...]) -> None:
    """Add the server at ADDRESS; its tools are called NAME.tool."""
    wish = {"name": name, "url": address, "headers": dict(map(_header, headers))}
    id = Fields.of(api.fetch(Call("POST", PATH, {field: value for field, value in wish.items() if value}))).text("id")
    made = next((server for server in pages(api, PATH) if server.text("id") == id), Fields())
    click.echo(f"Added {line(name)}: {_said(made)}")


@mcp.command()
@click.argument("server", metavar="NAME")
@prompts.yes_option
@with_api_or_key
def remove(api: Api, server: str, yes: bool) -> None:
    """Remove a server with its tools and what was set for them; its name or id."""
    found = next((one for one in pages(api, PATH) if server in (one.text("name"), one.text("id"), short(one.text("id")))), None)
    if found is None:
        raise CliError(f"There is no MCP server {line(server)!r}. They are listed by: parley tools mcp")
    named = f"the MCP server {line(found.text('name'))!r} ({line(found.text('url'))})"
    prompts.confirm(f"Remove {named}?", yes=yes)
    api.fetch(Call("DELETE", f"{PATH}/{quote(found.text('id'), safe='')}"))
    click.echo(f"Removed {named}")


def _header(given: str) -> tuple[str, str]:
    name, colon, value = given.partition(":")
    if not (name.strip() and colon):
        raise click.BadParameter("a header is written 'NAME: VALUE'")
    return name.strip(), value.strip()


def _said(server: Fields) -> str:
    tools = server.get("tools")
    names = [str(name) for name in tools] if isinstance(tools, list) else []
    error = line(server.text("error"))
    offers = shortened(", ".join(names), characters=60) if names else "no tools yet"
    return f"{offers} ({error})" if error else offers


def _row(server: Fields) -> tuple[str, ...]:
    return short(server.text("id")), line(server.text("name")), shortened(server.text("url"), characters=50), _said(server)


SERVERS = Table(("id", "name", "address", "tools"), _row, "No MCP servers yet. Add one: parley tools mcp add NAME ADDRESS")
