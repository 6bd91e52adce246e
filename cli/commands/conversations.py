"""`parley conversations`, `parley history` and `parley links`: conversations, their messages, and links to them."""

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.commands.groups import find_group
from cli.commands.library.bulk import COMMANDS as BULK_COMMANDS
from cli.commands.library.projects import find_project
from cli.completion import complete_conversation
from cli.conversation_lookup import conversation_path, find_conversation, find_conversation_id, title_and_id
from cli.errors import CliError
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import ListGroup, Table, all_items, find_by_id, first_items, json_option, limit_option, short_id
from cli.options import with_api_or_key
from cli.output import json_text, local_time, one_line, plain_text, shortened

_AUDIENCES = {"public": "anyone", "signed_in": "people with an account", "group": "a group"}
NO_CONVERSATIONS = 'No conversations yet. Start one: parley chat "Hello"'


conversation_argument = click.argument("conversation", metavar="ID", shell_complete=complete_conversation)


@click.group(cls=ListGroup, commands=BULK_COMMANDS)
def conversations() -> None:
    """List, search, rename, pin, tag, archive, save and delete your conversations."""


@conversations.command("list")
@limit_option
@click.option("--pinned", is_flag=True, help="List only pinned conversations.")
@click.option("--archived", is_flag=True, help="List the archive.")
@click.option("--tag", metavar="TAG", help="List only conversations with this tag.")
@click.option("--project", metavar="PROJECT", help="List only conversations of this project.")
@json_option
@with_api_or_key
def list_conversations(
    api: ApiClient, limit: int, pinned: bool, archived: bool, tag: str | None, project: str | None, as_json: bool
) -> None:
    """List your conversations, latest activity first. A star marks pinned ones, and # their tags."""
    wanted = {"pinned": "true" if pinned else "", "archived": "true" if archived else "", "tag": tag or ""}
    wanted["project_id"] = find_project(api, project).text("id") if project else ""
    query = {name: value for name, value in wanted.items() if value}
    CONVERSATIONS.show(first_items(api, "/conversations", limit=limit, query=query), as_json=as_json)


@conversations.command()
@click.argument("words", metavar="WORDS...", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1, 100), default=5, show_default=True, help="How many passages to show.")
@json_option
@with_api_or_key
def search(api: ApiClient, words: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Find what was said about WORDS, best first, by words and by meaning."""
    query: dict[str, str | int] = {"q": " ".join(words), "limit": limit}
    found = Fields.of(api.fetch(HttpCall("GET", "/conversations/search", query=query))).parts("items")
    if as_json:
        click.echo(json_text(found))
    elif not found:
        click.echo("Nothing found. To list the conversations: parley conversations")
    else:
        click.echo("\n\n".join(map(_found_passage, found)))


@conversations.command()
@conversation_argument
@click.argument("title")
@with_api_or_key
def rename(api: ApiClient, conversation: str, title: str) -> None:
    """Change a conversation's title to TITLE. ID may be a short id."""
    found = find_conversation(api, conversation)
    changed = Fields.of(api.fetch(HttpCall("PATCH", conversation_path(found.text("id")), {"title": title})))
    click.echo(f"{title_and_id(found)} is now called {one_line(changed.text('title'))!r}")


@conversations.command()
@conversation_argument
@with_api_or_key
def pin(api: ApiClient, conversation: str) -> None:
    """Pin a conversation, so that it is listed first. ID may be a short id."""
    _set_pinned(api, conversation, True)


@conversations.command()
@conversation_argument
@with_api_or_key
def unpin(api: ApiClient, conversation: str) -> None:
    """Remove the pin of a conversation. ID may be a short id."""
    _set_pinned(api, conversation, False)


def _set_pinned(api: ApiClient, given: str, is_pinned: bool) -> None:
    found = find_conversation(api, given)
    api.fetch(HttpCall("PATCH", conversation_path(found.text("id")), {"is_pinned": is_pinned}))
    click.echo(f"{'Pinned' if is_pinned else 'Unpinned'} {title_and_id(found)}")


@conversations.command()
@click.argument("given", metavar="ID...", nargs=-1, required=True, shell_complete=complete_conversation)
@terminal_input.yes_option
@with_api_or_key
def delete(api: ApiClient, given: tuple[str, ...], yes: bool) -> None:
    """Delete conversations with their messages. Each ID may be a short id."""
    found = {conversation.text("id"): conversation for conversation in [find_conversation(api, each) for each in given]}
    terminal_input.require_confirmation(f"Delete {', '.join(map(title_and_id, found.values()))}?", yes=yes)
    for id, conversation in found.items():
        api.fetch(HttpCall("DELETE", conversation_path(id)))
        click.echo(f"Deleted {title_and_id(conversation)}")


@conversations.command()
@conversation_argument
@click.option("--json", "as_json", is_flag=True, help="Save the messages as the API returns them, as a JSON array.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@with_api_or_key
def export(api: ApiClient, conversation: str, as_json: bool, output: Path | None) -> None:
    """Save a conversation as Markdown. ID may be a short id.

    Without --output, it is printed. An existing file is not overwritten.
    """
    found = find_conversation(api, conversation)
    messages = list(_messages(api, found.text("id")))
    text = json_text(messages) if as_json else conversation_markdown(found, messages)
    if output is None:
        click.echo(text)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text + "\n")
    except OSError as exc:
        raise CliError(f"Cannot write {output}: {exc.strerror}") from exc
    click.echo(f"Saved {title_and_id(found)} to {output}")


@click.command()
@click.argument("conversation", metavar="[ID]", required=False, shell_complete=complete_conversation)
@click.option("--json", "as_json", is_flag=True, help="Print the messages as the API returns them, as a JSON array.")
@with_api_or_key
def history(api: ApiClient, conversation: str | None, as_json: bool) -> None:
    """Show the messages of a conversation. ID may be a short id; the default is the latest conversation."""
    conversation_id = find_conversation_id(api, conversation) if conversation else latest_conversation(api).text("id")
    if as_json:
        click.echo(json_text(list(_messages(api, conversation_id))))
    else:
        show_history(api, conversation_id)


def show_history(api: ApiClient, conversation_id: str) -> None:
    """Print a conversation's messages, oldest first."""
    messages = list(_messages(api, conversation_id))
    for message in _utterances(messages):
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


def conversation_markdown(conversation: Fields, messages: Sequence[Fields]) -> str:
    """Return a conversation as Markdown: its title, then each message below a heading."""
    parts = [f"# {one_line(conversation.text('title')) or 'Untitled'}"]
    for message in _utterances(messages):
        parts += [f"## {_message_heading(message)}", plain_text(message.text("text")).strip() or "(no text)"]
    return "\n\n".join(parts)


def _found_passage(found: Fields) -> str:
    """Return a found passage: a line about its conversation, and the text."""
    where = (
        f"{short_id(found.text('conversation_id'))}  {local_time(found.text('said_at'))}  {shortened(found.text('title'), characters=60)}"
    )
    snippet = one_line(html.unescape(re.sub("</?mark>", "", found.text("snippet"))))
    return f"{click.style(where, dim=True)}\n{snippet}"


def _messages(api: ApiClient, conversation_id: str) -> Iterator[Fields]:
    return all_items(api, f"{conversation_path(conversation_id)}/messages", {"order": "asc"}, most=None)


def _utterances(messages: Iterable[Fields]) -> Iterator[Fields]:
    """Yield the messages. An answer during which the user spoke is divided there."""
    for message in messages:
        said = [Fields(message | {"text": ""})]
        for part in message.parts("parts"):
            if part.text("type") == "user_message":
                by_user = {"role": "user", "model": None, "status": "completed", "text": part.text("text")}
                said += [Fields(message | by_user), Fields(message | {"text": ""})]
            elif part.text("type") == "text":
                said[-1]["text"] = said[-1].text("text") + _text_of(part, message)
        yield from [each for each in said if each.text("text")] if len(said) > 1 else [message]


def _text_of(part: Fields, message: Fields) -> str:
    """Return the text of a part. In a long message it is given by its offsets in the message's text."""
    start, end = part.number("start"), part.number("end")
    return part.text("text") if start is None or end is None else message.text("text")[int(start) : int(end)]


def _conversation_row(conversation: Fields) -> tuple[str, str, str]:
    active_at = next(filter(None, map(conversation.text, ("last_activity_at", "last_message_at", "updated_at", "created_at"))), "")
    title = shortened(conversation.text("title"), characters=60) or "(untitled)"
    star = "* " if conversation.get("is_pinned") is True else ""
    tags = "".join(f" #{one_line(tag)}" for tag in conversation.texts("tags"))
    return short_id(conversation.text("id")), local_time(active_at), f"{star}{title}{tags}"


def _message_heading(message: Fields) -> str:
    who = {"user": "you"}.get(message.text("role"), message.text("role"))
    status = message.text("status")
    parts = (who, message.text("model"), local_time(message.text("created_at")), "" if status in ("", "completed") else status)
    return one_line(" · ".join(part for part in parts if part))


CONVERSATIONS = Table(("id", "last activity", "title"), _conversation_row, NO_CONVERSATIONS)


@click.group(cls=ListGroup)
def links() -> None:
    """Share conversations by links, list and revoke them."""


@links.command("list")
@limit_option
@json_option
@with_api_or_key
def list_links(api: ApiClient, limit: int, as_json: bool) -> None:
    """List your links that have not expired, newest first."""
    LINKS.show(first_items(api, "/links", limit=limit), as_json=as_json)


@links.command()
@conversation_argument
@click.option("--public", is_flag=True, help="Let anyone who has the link read it. Without it, only people with an account can.")
@click.option("--group", metavar="GROUP", help="Let only the members of this group of yours read it.")
@click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True, help="How long the link works.")
@json_option
@with_api_or_key
def create(api: ApiClient, conversation: str, public: bool, group: str | None, days: int, as_json: bool) -> None:
    """Make a link to a conversation as it is now. ID may be a short id.

    The link shows texts and the titles of cited sources, without images, tool calls and later messages.
    """
    if public and group:
        raise click.UsageError("--public and --group exclude each other.")
    body: dict[str, object] = {"audience": "public" if public else "signed_in", "expires_in_days": days}
    if group:
        body |= {"audience": "group", "group_id": find_group(api, group).text("id")}
    path = f"/conversations/{find_conversation_id(api, conversation)}/links"
    link = Fields.of(api.fetch(HttpCall("POST", path, body)))
    if as_json:
        click.echo(json_text(link))
        return
    click.echo(f"{api.url}/#/shared/{link.text('token')}")
    who = _AUDIENCES.get(link.text("audience"), link.text("audience"))
    click.secho(f"For {who}, until {local_time(link.text('expires_at'))}. It is not shown again.", dim=True, err=True)


@links.command()
@click.argument("link", metavar="ID")
@with_api_or_key
def revoke(api: ApiClient, link: str) -> None:
    """Revoke a link. ID may be a short id."""
    found = find_by_id(all_items(api, "/links"), link, noun="link", listed_by="parley links")
    api.fetch(HttpCall("DELETE", f"/links/{found.text('id')}"))
    click.echo(f"Revoked the link to {one_line(found.text('title')) or 'an untitled conversation'}")


def _link_row(link: Fields) -> tuple[str, ...]:
    title = shortened(link.text("title") or "untitled", characters=50)
    audience = _AUDIENCES.get(link.text("audience"), one_line(link.text("audience")))
    return short_id(link.text("id")), title, audience, local_time(link.text("expires_at"))


LINKS = Table(("id", "conversation", "for", "until"), _link_row, "You have shared no conversation.")
