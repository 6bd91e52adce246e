"""Commands that read back: conversations, history."""

import re
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote
from uuid import UUID

import click

from cli.api import Api
from cli.connection import Call
from cli.errors import CliError
from cli.fields import Fields
from cli.options import with_api
from cli.terminal import block, line, note, shortened, table

NONE_YET = 'No conversations yet. Start one: parley chat "Hello"'
# Enough to search for a short id: whoever has more can give the whole one.
PAGES = 20


@click.command()
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many to show.")
@with_api
def conversations(api: Api, limit: int) -> None:
    """List your conversations, the newest activity first."""
    page = Fields.of(api.fetch(Call("GET", "/conversations", query={"limit": limit})))
    rows = [_row(conversation) for conversation in page.parts("items")]
    click.echo(table([("id", "last activity", "title"), *rows]) if rows else NONE_YET)
    if page.text("next_cursor") and limit < 100:
        note("There are more: parley conversations --limit 100")


@click.command()
@click.argument("conversation", metavar="[ID]", required=False)
@with_api
def history(api: Api, conversation: str | None) -> None:
    """Show the messages of a conversation, the last one by default; a short id will do."""
    show(api, find(api, conversation) if conversation else latest(api).text("id"))


def show(api: Api, conversation_id: str) -> None:
    """Print a conversation's messages, oldest first."""
    messages = list(_messages(api, conversation_id))
    for message in messages:
        click.secho(_heading(message), dim=True)
        click.echo((block(message.text("text")).rstrip("\n") or "(no text)") + "\n")
    if not messages:
        click.echo(f'No messages yet. Write one: parley chat --conversation {conversation_id[-8:]} "Hello"')


def latest(api: Api) -> Fields:
    """Return the conversation with the newest activity."""
    page = Fields.of(api.fetch(Call("GET", "/conversations", query={"limit": 1})))
    for conversation in page.parts("items"):
        return conversation
    raise CliError(NONE_YET)


def find(api: Api, given: str) -> str:
    """Return the whole id of the conversation that `given` names: an id, or the start or end of one."""
    part = given.strip().lower()
    if _is_whole(part):
        return str(UUID(part))
    found = _with_part(api, part) if re.fullmatch(r"[0-9a-f-]{4,36}", part) else []
    if len(found) != 1:
        problem = f"More than one conversation is {line(given)!r}" if found else f"There is no conversation {line(given)!r}"
        raise CliError(f"{problem}. They are listed by: parley conversations")
    return found[0]


def _is_whole(part: str) -> bool:
    try:
        UUID(part)
    except ValueError:
        return False
    return True


def _with_part(api: Api, part: str) -> list[str]:
    ids = [conversation.text("id") for conversation in _pages(api, "/conversations", {"limit": 100})]
    return [each for each in ids if each.startswith(part) or each.endswith(part)]


def _messages(api: Api, conversation_id: str) -> Iterator[Fields]:
    return _pages(api, f"/conversations/{quote(conversation_id, safe='')}/messages", {"limit": 100, "order": "asc"})


def _pages(api: Api, path: str, query: dict[str, str | int]) -> Iterator[Fields]:
    for _ in range(PAGES):
        page = Fields.of(api.fetch(Call("GET", path, query=query)))
        yield from page.parts("items")
        if not page.text("next_cursor"):
            return
        query = query | {"cursor": page.text("next_cursor")}


def _row(conversation: Fields) -> tuple[str, str, str]:
    # The end of a UUIDv7 is random; its start is a clock, the same for all that begin within a minute.
    active_at = next(filter(None, map(conversation.text, ("last_activity_at", "last_message_at", "updated_at", "created_at"))), "")
    title = shortened(conversation.text("title"), characters=60) or "(untitled)"
    return line(conversation.text("id"))[-8:], local_time(active_at), title


def _heading(message: Fields) -> str:
    who = {"user": "you"}.get(message.text("role"), message.text("role"))
    status = message.text("status")
    parts = (who, message.text("model"), local_time(message.text("created_at")), "" if status in ("", "completed") else status)
    return line(" · ".join(part for part in parts if part))


def local_time(moment: str) -> str:
    """Return an RFC 3339 time to the minute on this computer's clock; anything else as it is."""
    try:
        return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):
        return line(moment)
