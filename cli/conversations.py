"""Commands that read back: conversations, history."""

from collections.abc import Iterator
from urllib.parse import quote

import click

from cli.api import Api
from cli.connection import Call
from cli.errors import CliError
from cli.fields import Fields
from cli.listing import Table, json_option, limit_option, newest, pages
from cli.moments import local_time
from cli.options import with_api_or_key
from cli.short_ids import pick, short, whole
from cli.terminal import block, line, shortened

NONE_YET = 'No conversations yet. Start one: parley chat "Hello"'


@click.command()
@limit_option
@json_option
@with_api_or_key
def conversations(api: Api, limit: int, as_json: bool) -> None:
    """List your conversations, the newest activity first."""
    CONVERSATIONS.show(newest(api, "/conversations", limit=limit), as_json=as_json)


@click.command()
@click.argument("conversation", metavar="[ID]", required=False)
@with_api_or_key
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
        click.echo(f'No messages yet. Write one: parley chat --conversation {short(conversation_id)} "Hello"')


def latest(api: Api) -> Fields:
    """Return the conversation with the newest activity."""
    page = Fields.of(api.fetch(Call("GET", "/conversations", query={"limit": 1})))
    for conversation in page.parts("items"):
        return conversation
    raise CliError(NONE_YET)


def find(api: Api, given: str) -> str:
    """Return the whole id of the conversation that `given` names: an id, or the start or end of one."""
    found = whole(given)
    return found or pick(pages(api, "/conversations"), given, noun="conversation", listed_by="parley conversations").text("id")


def _messages(api: Api, conversation_id: str) -> Iterator[Fields]:
    return pages(api, f"/conversations/{quote(conversation_id, safe='')}/messages", {"order": "asc"})


def _row(conversation: Fields) -> tuple[str, str, str]:
    active_at = next(filter(None, map(conversation.text, ("last_activity_at", "last_message_at", "updated_at", "created_at"))), "")
    title = shortened(conversation.text("title"), characters=60) or "(untitled)"
    return short(conversation.text("id")), local_time(active_at), title


def _heading(message: Fields) -> str:
    who = {"user": "you"}.get(message.text("role"), message.text("role"))
    status = message.text("status")
    parts = (who, message.text("model"), local_time(message.text("created_at")), "" if status in ("", "completed") else status)
    return line(" · ".join(part for part in parts if part))


CONVERSATIONS = Table(("id", "last activity", "title"), _row, NONE_YET)
