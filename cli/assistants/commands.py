"""`parley assistants`: list, add, change, share and delete assistants, and return to an earlier version."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.assistants.assistant_api import ASSISTANTS_PATH, assistant_path, find_assistant, setting_fields
from cli.commands.groups import group_option, owner_name, set_shared
from cli.completion import complete_model
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import ListGroup, Table, all_items, first_items, json_option, limit_option, name_and_id, short_id
from cli.options import with_api
from cli.output import json_text, local_time, one_line, plain_text, shortened

assistant_argument = click.argument("assistant", metavar="ASSISTANT")
_FILE_TYPE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SETTINGS = (
    click.option("--instructions", metavar="TEXT", help="Text that the model reads first."),
    click.option("--instructions-file", metavar="FILE", type=_FILE_TYPE, help="Read the instructions from this file."),
    click.option("--picture", metavar="EMOJI", help="An emoji as its picture."),
    click.option("--description", metavar="TEXT", help="A sentence for those who choose it."),
    click.option("-m", "--model", metavar="NAME", shell_complete=complete_model, help="Use this model. To list the models: parley models"),
    click.option("--tool", "tools", metavar="NAME", multiple=True, help="Offer this tool instead of all; can be repeated."),
    click.option("--no-tools", is_flag=True, help="Answer without tools."),
    click.option("--document", "documents", metavar="ID", multiple=True, help="Answer from this document; can be repeated."),
    click.option("--documents", "all_documents", is_flag=True, help="Answer from all documents that the user can read."),
    click.option("--no-memory", is_flag=True, help="Neither recall nor remember anything in its conversations."),
    click.option("--starter", "starters", metavar="TEXT", multiple=True, help="An opening question; up to six."),
)


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of the settings to a command."""
    for option in reversed(_SETTINGS):
        command = option(command)
    return command


@click.group(cls=ListGroup)
def assistants() -> None:
    """List, add, change and share assistants. To chat with one: parley chat --assistant NAME

    ASSISTANT is a name or an id; a short id will do.
    """


@assistants.command("list")
@limit_option
@json_option
@with_api
def list_assistants(api: ApiClient, limit: int, as_json: bool) -> None:
    """List your assistants and those shared with you, newest first."""
    ASSISTANT_TABLE.show(first_items(api, ASSISTANTS_PATH, limit=limit), as_json=as_json)


@assistants.command()
@assistant_argument
@json_option
@with_api
def show(api: ApiClient, assistant: str, as_json: bool) -> None:
    """Show an assistant's instructions."""
    shown = api.fetch(HttpCall("GET", assistant_path(find_assistant(api, assistant).text("id"))))
    click.echo(json_text(shown) if as_json else plain_text(Fields.of(shown).text("instructions")))


@assistants.command()
@click.argument("name")
@with_settings
@with_api
def add(api: ApiClient, /, name: str, **settings: Any) -> None:
    """Add an assistant called NAME. It is private until you share it."""
    added = api.fetch(HttpCall("POST", ASSISTANTS_PATH, {"name": name} | setting_fields(api, **settings)))
    click.echo(f"Added {name_and_id(Fields.of(added))}")


@assistants.command()
@assistant_argument
@click.option("--name", metavar="NAME", help="Its new name.")
@with_settings
@with_api
def change(api: ApiClient, /, assistant: str, name: str | None, **settings: Any) -> None:
    """Change the given settings of your assistant. The change is a new version."""
    found = find_assistant(api, assistant)
    fields = ({"name": name} if name else {}) | setting_fields(api, **settings)
    changed = Fields.of(api.fetch(HttpCall("PATCH", assistant_path(found.text("id")), fields)))
    click.echo(f"{name_and_id(found)} is at version {changed.number('version') or 0:.0f}")


@assistants.command()
@assistant_argument
@json_option
@with_api
def versions(api: ApiClient, assistant: str, as_json: bool) -> None:
    """List the versions of your assistant, newest first."""
    path = f"{assistant_path(find_assistant(api, assistant).text('id'))}/versions"
    VERSION_TABLE.show(list(all_items(api, path)), as_json=as_json)


@assistants.command()
@assistant_argument
@click.argument("version", type=click.IntRange(min=1))
@with_api
def rollback(api: ApiClient, assistant: str, version: int) -> None:
    """Return to the settings of VERSION. They become a new version."""
    found = find_assistant(api, assistant)
    restored = Fields.of(api.fetch(HttpCall("POST", f"{assistant_path(found.text('id'))}/rollback", {"version": version})))
    click.echo(f"{name_and_id(found)} is at version {restored.number('version') or 0:.0f}, with the settings of version {version}")


@assistants.command()
@assistant_argument
@group_option
@with_api
def share(api: ApiClient, assistant: str, group: str | None) -> None:
    """Share your assistant with a group of yours or, as an admin, with all users of the server."""
    found = find_assistant(api, assistant)
    click.echo(f"{name_and_id(found)} is shared with {set_shared(api, assistant_path(found.text('id')), group, shared=True)}")


@assistants.command()
@assistant_argument
@group_option
@with_api
def unshare(api: ApiClient, assistant: str, group: str | None) -> None:
    """Stop sharing your assistant with a group or, as an admin, with all users."""
    found = find_assistant(api, assistant)
    click.echo(f"{name_and_id(found)} is no longer shared with {set_shared(api, assistant_path(found.text('id')), group, shared=False)}")


@assistants.command()
@assistant_argument
@terminal_input.yes_option
@with_api
def delete(api: ApiClient, assistant: str, yes: bool) -> None:
    """Delete your assistant, for everybody. Its conversations stay."""
    found = find_assistant(api, assistant)
    terminal_input.delete_confirmed(api, assistant_path(found.text("id")), name_and_id(found), noun="the assistant ", yes=yes)


def _assistant_row(assistant: Fields) -> tuple[str, ...]:
    name = f"{assistant.text('picture')} {assistant.text('name')}".strip()
    return (
        short_id(assistant.text("id")),
        shortened(name, characters=40),
        one_line(assistant.text("model")),
        owner_name(assistant),
        shortened(assistant.text("description"), characters=60),
    )


def _version_row(version: Fields) -> tuple[str, ...]:
    number, instructions = f"{version.number('version') or 0:.0f}", shortened(version.text("instructions"), characters=60)
    return number, local_time(version.text("created_at")), one_line(version.text("model")), instructions


ASSISTANT_TABLE = Table(
    ("id", "name", "model", "owner", "description"),
    _assistant_row,
    'No assistants yet. Add one: parley assistants add "Contract reader" --instructions "Answer from the contract only."',
)
VERSION_TABLE = Table(("version", "since", "model", "instructions"), _version_row, "No versions.")
