"""`parley prompts`: texts with variables, kept on the server: write, use, change and share them, and return to an earlier version."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.commands.groups import group_option, owner_name, set_shared
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import ListGroup, Table, all_items, find_by_id, first_items, full_id, json_option, limit_option, short_id
from cli.options import with_api, with_api_or_key
from cli.output import json_text, local_time, one_line, plain_text, shortened

PROMPTS_PATH = "/prompts"

prompt_argument = click.argument("prompt", metavar="PROMPT")
_FILE_TYPE = click.Path(exists=True, dir_okay=False, path_type=Path)


def with_text(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the argument TEXT and the options `--file` and `--description`."""
    command = click.option("--description", metavar="TEXT", help="A sentence for those who choose it.")(command)
    command = click.option("--file", "file", metavar="FILE", type=_FILE_TYPE, help="Read the text from this file.")(command)
    return click.argument("text", required=False)(command)


def find_prompt(api: ApiClient, given: str) -> Fields:
    """Return the prompt with this name, or whose id is, starts or ends with `given`: the user's own before those of others.

    Raises `CliError` if none or several match.
    """
    if prompt_id := full_id(given):
        return Fields.of(api.fetch(HttpCall("GET", f"{PROMPTS_PATH}/{prompt_id}")))
    found = list(all_items(api, PROMPTS_PATH))
    named = [prompt for prompt in found if prompt.text("name") == given.strip().removeprefix("/")]
    named = [prompt for prompt in named if prompt.get("is_own") is True] or named
    return named[0] if len(named) == 1 else find_by_id(found, given, noun="prompt", listed_by="parley prompts")


@click.group(cls=ListGroup)
def prompts() -> None:
    """Keep prompts with variables on the server. To use one: parley prompts use trip city=Lisbon | parley chat

    PROMPT is a name or an id; a short id will do. The variables of a TEXT are {{city}}, {{nights:number}} or
    {{tone:choice(formal,friendly)}}.
    """


@prompts.command("list")
@limit_option
@json_option
@with_api_or_key
def list_prompts(api: ApiClient, limit: int, as_json: bool) -> None:
    """List your prompts and those shared with you, newest first."""
    PROMPT_TABLE.show(first_items(api, PROMPTS_PATH, limit=limit), as_json=as_json)


@prompts.command()
@prompt_argument
@json_option
@with_api_or_key
def show(api: ApiClient, prompt: str, as_json: bool) -> None:
    """Show the text of a prompt."""
    shown = api.fetch(HttpCall("GET", _path(find_prompt(api, prompt))))
    click.echo(json_text(shown) if as_json else plain_text(Fields.of(shown).text("text")))


@prompts.command()
@prompt_argument
@click.argument("values", metavar="[VARIABLE=VALUE]...", nargs=-1)
@with_api_or_key
def use(api: ApiClient, prompt: str, values: tuple[str, ...]) -> None:
    """Print a prompt with values in place of its variables. Values that are missing are asked for."""
    found, given = find_prompt(api, prompt), _parse_values(values)
    for variable in found.parts("variables"):
        name = variable.text("name")
        if name not in given:
            given[name] = terminal_input.prompt(_question(variable), hint=f"In scripts: {one_line(name)}=VALUE")
    filled = Fields.of(api.fetch(HttpCall("POST", f"{_path(found)}/fill", {"values": given})))
    click.echo(plain_text(filled.text("text")))


@prompts.command()
@click.argument("name")
@with_text
@with_api_or_key
def add(api: ApiClient, name: str, text: str | None, file: Path | None, description: str | None) -> None:
    """Add a prompt called NAME. It is private until you share it."""
    fields = _text_fields(text, file, description)
    if "text" not in fields:
        raise click.UsageError("Give the TEXT of the prompt, or --file.")
    added = Fields.of(api.fetch(HttpCall("POST", PROMPTS_PATH, {"name": name.removeprefix("/")} | fields)))
    click.echo(f"Added {_title(added)}")


@prompts.command()
@prompt_argument
@with_text
@click.option("--name", metavar="NAME", help="Its new name.")
@with_api_or_key
def change(api: ApiClient, prompt: str, text: str | None, file: Path | None, description: str | None, name: str | None) -> None:
    """Change your prompt. A new text or description is a new version."""
    fields = _text_fields(text, file, description) | ({"name": name.removeprefix("/")} if name else {})
    if not fields:
        raise click.UsageError("Nothing to change: give a TEXT, --file, --description or --name.")
    changed = Fields.of(api.fetch(HttpCall("PATCH", _path(find_prompt(api, prompt)), fields)))
    click.echo(f"{_title(changed)} is at version {changed.number('version') or 0:.0f}")


@prompts.command()
@prompt_argument
@json_option
@with_api_or_key
def versions(api: ApiClient, prompt: str, as_json: bool) -> None:
    """List the versions of your prompt, newest first."""
    VERSION_TABLE.show(list(all_items(api, f"{_path(find_prompt(api, prompt))}/versions")), as_json=as_json)


@prompts.command()
@prompt_argument
@click.argument("version", type=click.IntRange(min=1))
@with_api_or_key
def rollback(api: ApiClient, prompt: str, version: int) -> None:
    """Return to the text of VERSION. It becomes a new version."""
    restored = Fields.of(api.fetch(HttpCall("POST", f"{_path(find_prompt(api, prompt))}/rollback", {"version": version})))
    click.echo(f"{_title(restored)} is at version {restored.number('version') or 0:.0f}, with the text of version {version}")


@prompts.command()
@prompt_argument
@group_option
@with_api
def share(api: ApiClient, prompt: str, group: str | None) -> None:
    """Share your prompt with a group of yours or, as an admin, with all users of the server."""
    found = find_prompt(api, prompt)
    click.echo(f"{_title(found)} is shared with {set_shared(api, _path(found), group, shared=True)}")


@prompts.command()
@prompt_argument
@group_option
@with_api
def unshare(api: ApiClient, prompt: str, group: str | None) -> None:
    """Stop sharing your prompt with a group or, as an admin, with all users."""
    found = find_prompt(api, prompt)
    click.echo(f"{_title(found)} is no longer shared with {set_shared(api, _path(found), group, shared=False)}")


@prompts.command()
@prompt_argument
@terminal_input.yes_option
@with_api_or_key
def delete(api: ApiClient, prompt: str, yes: bool) -> None:
    """Delete your prompt with its versions, for everybody."""
    found = find_prompt(api, prompt)
    terminal_input.delete_confirmed(api, _path(found), _title(found), noun="the prompt ", yes=yes)


def _path(prompt: Fields) -> str:
    return f"{PROMPTS_PATH}/{quote(prompt.text('id'), safe='')}"


def _title(prompt: Fields) -> str:
    return f"/{one_line(prompt.text('name'))} ({short_id(prompt.text('id'))})"


def _text_fields(text: str | None, file: Path | None, description: str | None) -> dict[str, object]:
    """Return the fields that are given. Raises UsageError for two texts."""
    if text is not None and file is not None:
        raise click.UsageError("TEXT and --file exclude each other.")
    given = {"text": file.read_text(encoding="utf-8") if file else text, "description": description}
    return {name: value for name, value in given.items() if value is not None}


def _parse_values(values: tuple[str, ...]) -> dict[str, str]:
    for value in values:
        if "=" not in value:
            raise click.UsageError(f"{one_line(value)!r} is not VARIABLE=VALUE.")
    return {name: text for name, _, text in (value.partition("=") for value in values)}


def _question(variable: Fields) -> str:
    choices = ", ".join(map(one_line, variable.texts("choices")))
    return f"{one_line(variable.text('name'))} ({choices})" if choices else one_line(variable.text("name"))


def _prompt_row(prompt: Fields) -> tuple[str, ...]:
    variables = " ".join(one_line(variable.text("name")) for variable in prompt.parts("variables"))
    description = shortened(prompt.text("description"), characters=60)
    return short_id(prompt.text("id")), f"/{one_line(prompt.text('name'))}", owner_name(prompt), variables, description


def _version_row(version: Fields) -> tuple[str, ...]:
    return f"{version.number('version') or 0:.0f}", local_time(version.text("created_at")), shortened(version.text("text"), characters=60)


PROMPT_TABLE = Table(
    ("id", "name", "owner", "variables", "description"),
    _prompt_row,
    'No prompts yet. Add one: parley prompts add trip "Plan {{nights:number}} nights in {{city}}."',
)
VERSION_TABLE = Table(("version", "since", "text"), _version_row, "No versions.")
