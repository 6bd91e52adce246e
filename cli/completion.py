"""Shell completion of ids and names: conversations, documents and models from the API, templates from the config directory.

A Tab must be quick and silent: without a session, a server or an answer in time, nothing is offered.
"""

from collections.abc import Callable, Iterator

import click
from click.shell_completion import CompletionItem

from cli.api import ApiClient, api_key_from_environment
from cli.chat.templates import template_names
from cli.errors import CliError
from cli.http import HttpCall, default_url, normalised_url
from cli.json_fields import Fields
from cli.listing import short_id
from cli.output import shortened
from cli.session_store import SessionFile

TIMEOUT_S = 1.0
MAX_OFFERED = 50


def complete_conversation(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the short ids of the latest conversations, with their titles."""
    return _items(ctx, incomplete, "/conversations", lambda each: (short_id(each.text("id")), each.text("title")))


def complete_document(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the short ids of the documents, with their titles."""
    return _items(ctx, incomplete, "/documents", lambda each: (short_id(each.text("id")), each.text("title")))


def complete_model(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the names of the available models."""
    return _items(ctx, incomplete, "/models", lambda each: (each.text("id"), each.text("provider")))


def complete_template(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the names of the templates."""
    return [CompletionItem(name) for name in template_names() if name.startswith(incomplete)]


def _items(ctx: click.Context, incomplete: str, path: str, pair: Callable[[Fields], tuple[str, str]]) -> list[CompletionItem]:
    try:
        pairs = [pair(each) for each in _fetch(ctx, path)]
    except (CliError, click.UsageError):
        return []
    return [CompletionItem(value, help=shortened(text, characters=50)) for value, text in pairs if value.startswith(incomplete)]


def _fetch(ctx: click.Context, path: str) -> Iterator[Fields]:
    sessions = SessionFile()
    url = normalised_url(ctx.params.get("url") or default_url(sessions.read().last_url))
    with ApiClient(url, sessions, key=api_key_from_environment()) as api:
        query = {"limit": MAX_OFFERED} if path != "/models" else None
        answer = api.fetch(HttpCall("GET", path, query=query, timeout_s=TIMEOUT_S))
        yield from Fields.list_of(answer) or Fields.of(answer).parts("items")
