"""Conversations by the ids that users type: a full id, or a part of it as lists show it."""

from collections.abc import Iterator
from urllib.parse import quote

from cli.api import ApiClient
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import all_items, find_by_id, full_id, short_id
from cli.output import shortened


def find_conversation(api: ApiClient, given: str) -> Fields:
    """Return the conversation whose id is `given`, or starts or ends with it. Raises `CliError` if none or several match."""
    conversation_id = full_id(given)
    if conversation_id:
        return Fields.of(api.fetch(HttpCall("GET", conversation_path(conversation_id))))
    return find_by_id(_all(api), given, noun="conversation", listed_by="parley conversations")


def find_conversation_id(api: ApiClient, given: str) -> str:
    """Return the full id of the conversation whose id is `given`, or starts or ends with it. A full id is not looked up."""
    conversation_id = full_id(given)
    return conversation_id or find_by_id(_all(api), given, noun="conversation", listed_by="parley conversations").text("id")


def _all(api: ApiClient) -> Iterator[Fields]:
    """Yield the listed conversations and then those in the archive, each once."""
    seen = set()
    for query in (None, {"archived": "true"}):
        for conversation in all_items(api, "/conversations", query):
            if conversation.text("id") not in seen:
                seen.add(conversation.text("id"))
                yield conversation


def conversation_path(conversation_id: str) -> str:
    """Return the conversation's path in the API."""
    return f"/conversations/{quote(conversation_id, safe='')}"


def title_and_id(conversation: Fields) -> str:
    """Return the quoted title and the short id."""
    return f"{shortened(conversation.text('title'), characters=60) or 'untitled'!r} ({short_id(conversation.text('id'))})"
