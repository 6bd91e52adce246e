"""`parley tools`: which tools there are, what they may do, and calling one by hand."""

import json
from urllib.parse import quote

import click

from cli.api import Api
from cli.connection import Call
from cli.errors import CliError
from cli.fields import Fields
from cli.listing import ListGroup, Table, json_option, pages
from cli.mcp_servers import mcp
from cli.options import with_api_or_key
from cli.terminal import block, line, shortened

PATH = "/tools"
SETTINGS = (
    ("enable", "enabled", True, "Let models use a tool."),
    ("disable", "enabled", False, "Let no model use a tool."),
    ("ask", "requires_approval", True, "Have a tool ask before each call."),
    ("trust", "requires_approval", False, "Let a tool run without asking, where neither it nor what the model has read demands that."),
)


@click.group(cls=ListGroup)
def tools() -> None:
    """List, set and call tools, and add remote MCP servers that bring more."""


@tools.command("list")
@json_option
@with_api_or_key
def list_all(api: Api, as_json: bool) -> None:
    """List the tools by name, also those that are off."""
    TOOLS.show(list(pages(api, PATH)), as_json=as_json)


@tools.command()
@click.argument("name")
@click.argument("arguments", nargs=-1, metavar="[FIELD=VALUE]...")
@with_api_or_key
def invoke(api: Api, name: str, arguments: tuple[str, ...]) -> None:
    """Call a tool, as in `parley tools invoke calculator expression="12.5% of 840"`. A VALUE that is JSON is taken as that."""
    called = Call("POST", f"{_path(name)}/invoke", {"arguments": dict(map(_field, arguments))})
    outcome = Fields.of(api.fetch(called))
    if outcome.get("ok") is not True:
        raise CliError(line(outcome.text("content")) or "The tool failed.")
    click.echo(block(outcome.text("content")).rstrip("\n"))


def _setting(word: str, field: str, value: bool, promise: str) -> click.Command:
    """Return the command of this word, which sets one field of a tool."""

    @click.command(word, help=promise)
    @click.argument("name")
    @with_api_or_key
    def change(api: Api, name: str) -> None:
        tool = Fields.of(api.fetch(Call("PUT", _path(name), {field: value})))
        click.echo(f"{line(tool.text('name'))} is {_state(tool)}")

    return change


def _path(name: str) -> str:
    return f"{PATH}/{quote(name, safe='')}"


def _field(given: str) -> tuple[str, object]:
    name, equals, value = given.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{given!r} is not FIELD=VALUE")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def _state(tool: Fields) -> str:
    if tool.get("enabled") is not True:
        return "off"
    return "on, and asks first" if tool.get("requires_approval") is True else "on"


def _row(tool: Fields) -> tuple[str, ...]:
    return line(tool.text("name")), line(tool.text("source")), _state(tool), shortened(tool.text("description"), characters=60)


TOOLS = Table(("name", "from", "is", "what it does"), _row, "There are no tools here.")
tools.add_command(mcp)
for setting in SETTINGS:
    tools.add_command(_setting(*setting))
