"""`parley conversations` and `parley history`: list conversations and show their messages."""

from collections.abc import Iterator
from urllib.parse import quote

import click

from cli.api import ApiClient
from cli.errors import CliError
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import Table, all_items, find_by_id, first_items, full_id, json_option, limit_option, short_id
from cli.options import with_api_or_key
from cli.output import local_time, one_line, plain_text, shortened

NO_CONVERSATIONS = 'No conversations yet. Start one: parley chat "Hello"'


@click.command()
@limit_option
@json_option
@with_api_or_key
def conversations(api: ApiClient, limit: int, as_json: bool) -> None:
    """List your conversations, latest activity first."""
    CONVERSATIONS.show(first_items(api, "/conversations", limit=limit), as_json=as_json)


@click.command()
@click.argument("conversation", metavar="[ID]", required=False)
@with_api_or_key
def history(api: ApiClient, conversation: str | None) -> None:
    """Show the messages of a conversation. ID may be a short id; the default is the latest conversation."""
    show_history(api, find_conversation_id(api, conversation) if conversation else latest_conversation(api).text("id"))


def show_history(api: ApiClient, conversation_id: str) -> None:
    """Print a conversation's messages, oldest first."""
    messages = list(_messages(api, conversation_id))
    for message in messages:
        click.secho(_message_heading(message), dim=True)
        click.echo((plain_text(message.text("text")).rstrip("\n") or "(no text)") + "\n")
    if not messages:
        click.echo(f'No messages yet. Send one: parley chat --conversation {short_id(conversation_id)} "Hello"')


def latest_conversation(api: ApiClient) -> Fields:
    """Return the conversation with the latest activity. Raises `CliError` if there are no conversations."""
    page = Fields.of(api.fetch(HttpCall("GET", "/conversations", query={"limit": 1})))
    for conversation in page.parts("items"):
        return conversation
    raise CliError(NO_CONVERSATIONS)


def find_conversation_id(api: ApiClient, given: str) -> str:
    """Return the full id of the conversation whose id is `given`, or starts or ends with it. A full id is not looked up."""
    conversation_id = full_id(given)
    return conversation_id or find_by_id(
        all_items(api, "/conversations"), given, noun="conversation", listed_by="parley conversations"
    ).text("id")


def _messages(api: ApiClient, conversation_id: str) -> Iterator[Fields]:
    return all_items(api, f"/conversations/{quote(conversation_id, safe='')}/messages", {"order": "asc"})


def _conversation_row(conversation: Fields) -> tuple[str, str, str]:
    active_at = next(filter(None, map(conversation.text, ("last_activity_at", "last_message_at", "updated_at", "created_at"))), "")
    title = shortened(conversation.text("title"), characters=60) or "(untitled)"
    return short_id(conversation.text("id")), local_time(active_at), title


def _message_heading(message: Fields) -> str:
    who = {"user": "you"}.get(message.text("role"), message.text("role"))
    status = message.text("status")
    parts = (who, message.text("model"), local_time(message.text("created_at")), "" if status in ("", "completed") else status)
    return one_line(" · ".join(part for part in parts if part))


CONVERSATIONS = Table(("id", "last activity", "title"), _conversation_row, NO_CONVERSATIONS)
