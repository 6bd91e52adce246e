"""`parley conversations archive`, `unarchive`, `tag`, `untag` and `move`: one change of many conversations."""

import click

from cli.api import ApiClient
from cli.commands.library.projects import find_project
from cli.completion import complete_conversation
from cli.conversation_lookup import find_conversation, title_and_id
from cli.errors import CliError
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.options import with_api_or_key
from cli.output import one_line

MAX_CONVERSATIONS = 100
_PROBLEMS = {"not_found": "was not found", "too_many_tags": "has as many tags as are allowed"}

ids_argument = click.argument("given", metavar="ID...", nargs=-1, required=True, shell_complete=complete_conversation)
tag_argument = click.argument("tag_text", metavar="TAG")


@click.command()
@ids_argument
@with_api_or_key
def archive(api: ApiClient, given: tuple[str, ...]) -> None:
    """Hide conversations from the list. Search still finds them. Each ID may be a short id."""
    _change(api, given, {"action": "archive"}, "Archived")


@click.command()
@ids_argument
@with_api_or_key
def unarchive(api: ApiClient, given: tuple[str, ...]) -> None:
    """List archived conversations again. Each ID may be a short id."""
    _change(api, given, {"action": "unarchive"}, "Unarchived")


@click.command()
@tag_argument
@ids_argument
@with_api_or_key
def tag(api: ApiClient, tag_text: str, given: tuple[str, ...]) -> None:
    """Add a tag to conversations. To list them: parley conversations --tag TAG"""
    _change(api, given, {"action": "tag", "tag": tag_text}, f"Tagged {one_line(tag_text)!r}:")


@click.command()
@tag_argument
@ids_argument
@with_api_or_key
def untag(api: ApiClient, tag_text: str, given: tuple[str, ...]) -> None:
    """Remove a tag from conversations. Each ID may be a short id."""
    _change(api, given, {"action": "untag", "tag": tag_text}, f"Removed the tag {one_line(tag_text)!r}:")


@click.command()
@click.argument("project", metavar="PROJECT")
@ids_argument
@with_api_or_key
def move(api: ApiClient, project: str, given: tuple[str, ...]) -> None:
    """Move conversations into a project, a name or an id; `none` moves them out of theirs. Each ID may be a short id."""
    found = None if project == "none" else find_project(api, project)
    told = f"Moved to {one_line(found.text('name'))!r}:" if found else "Moved out of its project:"
    _change(api, given, {"action": "move", "project_id": found.text("id") if found else None}, told)


def _change(api: ApiClient, given: tuple[str, ...], change: dict[str, str | None], told: str) -> None:
    """Change the conversations and print what became of each. Raises `CliError` after the others if one could not be changed."""
    if len(given) > MAX_CONVERSATIONS:
        raise click.UsageError(f"Name at most {MAX_CONVERSATIONS} conversations.")
    found = {conversation.text("id"): conversation for conversation in [find_conversation(api, each) for each in given]}
    results = Fields.of(api.fetch(HttpCall("POST", "/conversations/bulk", change | {"ids": list(found)}))).parts("items")
    problems = []
    for result in results:
        title = title_and_id(found.get(result.text("id"), result))
        outcome = result.text("outcome")
        if outcome == "done":
            click.echo(f"{told} {title}")
        else:
            problems.append(f"{title} {_PROBLEMS.get(outcome, one_line(outcome))}.")
    if problems:
        raise CliError(" ".join(problems))


COMMANDS = (archive, unarchive, tag, untag, move)
