"""`parley memories`: see, add, correct and forget what is remembered about the user, and switch memory on or off."""

from urllib.parse import quote

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.errors import CliError
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import ListGroup, Table, all_items, find_by_id, first_items, json_option, limit_option, short_id
from cli.options import with_api, with_api_or_key
from cli.output import local_time, one_line, shortened

MEMORIES_PATH = "/memories"
NO_MEMORIES = 'Nothing is remembered yet. Add a fact: parley memories add "I live in Lyon."'

memory_argument = click.argument("memory", metavar="ID")


@click.group(cls=ListGroup)
def memories() -> None:
    """See, add, correct and forget what is remembered about you."""


@memories.command("list")
@click.option("--all", "with_ended", is_flag=True, help="Include facts that newer ones replaced.")
@limit_option
@json_option
@with_api_or_key
def list_memories(api: ApiClient, with_ended: bool, limit: int, as_json: bool) -> None:
    """List what is remembered about you, newest first."""
    if with_ended:
        MEMORY_TABLE.show(first_items(api, MEMORIES_PATH, limit=limit), as_json=as_json)
        return
    current: list[Fields] = []
    for fact in all_items(api, MEMORIES_PATH):
        if not fact.text("ended_at") and len(current) < limit:
            current.append(fact)
    MEMORY_TABLE.show(current, as_json=as_json)


@memories.command()
@click.argument("words", metavar="WORDS...", nargs=-1, required=True)
@limit_option
@json_option
@with_api_or_key
def search(api: ApiClient, words: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Find facts about WORDS, best first."""
    query: dict[str, str | int] = {"q": " ".join(words), "limit": limit}
    found = Fields.of(api.fetch(HttpCall("GET", f"{MEMORIES_PATH}/search", query=query))).parts("items")
    Table(MEMORY_TABLE.heading, MEMORY_TABLE.row, "Nothing about that is remembered.").show(found, as_json=as_json)


@memories.command()
@click.argument("text")
@with_api_or_key
def add(api: ApiClient, text: str) -> None:
    """Remember TEXT, one sentence about you."""
    fact = Fields.of(api.fetch(HttpCall("POST", MEMORIES_PATH, {"text": text})))
    click.echo(f"Remembered as {short_id(fact.text('id'))}: {one_line(fact.text('text'))}")


@memories.command()
@memory_argument
@click.argument("text")
@with_api_or_key
def correct(api: ApiClient, memory: str, text: str) -> None:
    """Replace a fact by TEXT. ID may be a short id."""
    fact = _find(api, memory)
    changed = Fields.of(api.fetch(HttpCall("PATCH", _path(fact), {"text": text})))
    click.echo(f"{one_line(fact.text('text'))!r} is now {one_line(changed.text('text'))!r}")


@memories.command()
@memory_argument
@with_api_or_key
def source(api: ApiClient, memory: str) -> None:
    """Show the message that a fact was read from. ID may be a short id."""
    fact = _find(api, memory)
    conversation_id = fact.text("conversation_id")
    if not conversation_id:
        raise CliError("You wrote this fact yourself, or the conversation that stated it was deleted.")
    messages = f"/conversations/{quote(conversation_id, safe='')}/messages"
    message = next((each for each in all_items(api, messages, most=None) if each.text("id") == fact.text("message_id")), None)
    if message is None:
        raise CliError("The message was deleted meanwhile.")
    click.echo(f"{local_time(message.text('created_at'))}, in conversation {short_id(conversation_id)}:")
    click.echo("".join(part.text("text") for part in message.parts("parts") if part.text("type") == "text"))


@memories.command()
@click.argument("given", metavar="ID...", nargs=-1, required=True)
@terminal_input.yes_option
@with_api_or_key
def forget(api: ApiClient, given: tuple[str, ...], yes: bool) -> None:
    """Delete facts. Each ID may be a short id."""
    facts = {fact.text("id"): fact for fact in [_find(api, each) for each in given]}.values()
    terminal_input.require_confirmation(f"Forget {', '.join(repr(one_line(fact.text('text'))) for fact in facts)}?", yes=yes)
    for fact in facts:
        api.fetch(HttpCall("DELETE", _path(fact)))
        click.echo(f"Forgot {one_line(fact.text('text'))!r}")


@memories.command()
@with_api
def off(api: ApiClient) -> None:
    """Switch memory off: nothing is recalled or remembered until it is on again. What is stored is kept."""
    api.fetch(HttpCall("PATCH", "/auth/me", {"memory_enabled": False}))
    click.echo("Memory is off. To switch it on: parley memories on")


@memories.command()
@with_api
def on(api: ApiClient) -> None:
    """Switch memory on."""
    api.fetch(HttpCall("PATCH", "/auth/me", {"memory_enabled": True}))
    click.echo("Memory is on.")


def _find(api: ApiClient, given: str) -> Fields:
    return find_by_id(all_items(api, MEMORIES_PATH), given, noun="fact", listed_by="parley memories")


def _path(fact: Fields) -> str:
    return f"{MEMORIES_PATH}/{quote(fact.text('id'), safe='')}"


def _memory_row(fact: Fields) -> tuple[str, ...]:
    said_by = {"user": "you", "extracted": "a conversation"}.get(fact.text("source"), one_line(fact.text("source")))
    ended = "replaced" if fact.text("ended_at") else ""
    return short_id(fact.text("id")), local_time(fact.text("created_at")), said_by, ended, shortened(fact.text("text"), characters=100)


MEMORY_TABLE = Table(("id", "since", "from", "", "fact"), _memory_row, NO_MEMORIES)
