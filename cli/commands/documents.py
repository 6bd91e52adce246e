"""`parley documents`: list, show, search, rename, share and delete documents."""

from collections.abc import Sequence

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.commands.documents_add import add
from cli.commands.groups import find_group
from cli.document_api import DOCUMENTS_PATH, document_path, find_document, find_document_ids, set_shared, title_and_id, title_and_page
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import ListGroup, Table, all_items, first_items, full_id, json_option, limit_option, short_id
from cli.options import with_api_or_key
from cli.output import aligned_table, json_text, local_time, one_line, plain_text, print_note, shortened

NOTHING_FOUND = "No passages found. To list the documents: parley documents"

document_argument = click.argument("document", metavar="ID")


@click.command()
@document_argument
@click.argument("title")
@with_api_or_key
def rename(api: ApiClient, document: str, title: str) -> None:
    """Change a document's title to TITLE. ID may be a short id."""
    found = find_document(api, document)
    changed = Fields.of(api.fetch(HttpCall("PATCH", document_path(found.text("id")), {"title": title})))
    click.echo(f"{title_and_id(found)} is now called {one_line(changed.text('title'))!r}")


group_option = click.option("--group", metavar="GROUP", help="A group of yours, by name or id.")


@click.command()
@document_argument
@group_option
@with_api_or_key
def share(api: ApiClient, document: str, group: str | None) -> None:
    """Share your document with a group of yours or, as an admin, with all users of the server."""
    found = find_document(api, document)
    if group is None:
        set_shared(api, found, shared=True)
    else:
        _change_share(api, "PUT", found, group)
    click.echo(f"{title_and_id(found)} is shared with {_group_name(group)}")


@click.command()
@document_argument
@group_option
@with_api_or_key
def unshare(api: ApiClient, document: str, group: str | None) -> None:
    """Stop sharing your document with a group or, as an admin, make it private again."""
    found = find_document(api, document)
    if group is None:
        click.echo(f"{title_and_id(set_shared(api, found, shared=False))} is private")
        return
    _change_share(api, "DELETE", found, group)
    click.echo(f"{title_and_id(found)} is no longer shared with {_group_name(group)}")


def _change_share(api: ApiClient, method: str, document: Fields, group: str) -> None:
    # API keys cannot list groups, so a full id must be enough.
    group_id = full_id(group) or find_group(api, group).text("id")
    api.fetch(HttpCall(method, f"{document_path(document.text('id'))}/shares", {"group_id": group_id}))


def _group_name(group: str | None) -> str:
    return "all users" if group is None else f"the group {one_line(group)!r}"


@click.command()
@click.argument("given", metavar="ID...", nargs=-1, required=True)
@terminal_input.yes_option
@with_api_or_key
def delete(api: ApiClient, given: tuple[str, ...], yes: bool) -> None:
    """Delete documents with their text, chunks and vectors.

    Each ID may be a short id.
    """
    found = {document.text("id"): document for document in [find_document(api, each) for each in given]}
    terminal_input.require_confirmation(f"Delete {', '.join(map(title_and_id, found.values()))}?", yes=yes)
    for id, document in found.items():
        api.fetch(HttpCall("DELETE", document_path(id)))
        click.echo(f"Deleted {title_and_id(document)}")


@click.command()
@click.argument("words", metavar="WORDS...", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1, 100), default=5, show_default=True, help="How many passages to show.")
@click.option("--in", "document_ids", metavar="ID", multiple=True, help="Search this document only; can be repeated.")
@json_option
@with_api_or_key
def search(api: ApiClient, words: tuple[str, ...], limit: int, document_ids: tuple[str, ...], as_json: bool) -> None:
    """Find passages that match WORDS, best first.

    Passages are ranked by words and by meaning.
    """
    query: dict[str, str | int | Sequence[str]] = {"q": " ".join(words), "limit": limit}
    if document_ids:
        query["document_id"] = find_document_ids(api, document_ids)
    answer = Fields.of(api.fetch(HttpCall("GET", f"{DOCUMENTS_PATH}/search", query=query)))
    found = answer.parts("items")
    if answer.text("mode") == "text":
        print_note("Ranked by words only: no embedding model is available.")
    click.echo(json_text(found) if as_json else "\n\n".join(map(_passage_text, found)) or NOTHING_FOUND)


def _passage_text(passage: Fields) -> str:
    heading = one_line(passage.text("heading"))
    suffix = f" · {heading}" if heading and heading != one_line(passage.text("title")) else ""
    return (
        f"{title_and_page(passage)} ({short_id(passage.text('document_id'))}){suffix}\n  {shortened(passage.text('text'), characters=300)}"
    )


@click.group(cls=ListGroup)
def documents() -> None:
    """Add, list, show, search, rename, share and delete documents."""


@documents.command("list")
@limit_option
@json_option
@with_api_or_key
def list_documents(api: ApiClient, limit: int, as_json: bool) -> None:
    """List your documents and shared documents, newest first."""
    DOCUMENTS.show(first_items(api, DOCUMENTS_PATH, limit=limit), as_json=as_json)


@documents.command()
@document_argument
@click.option("--chunks", is_flag=True, help="Show the document's chunks, which answers cite.")
@json_option
@with_api_or_key
def show(api: ApiClient, document: str, chunks: bool, as_json: bool) -> None:
    """Show a document. ID may be a short id."""
    found = find_document(api, document)
    if chunks:
        _show_chunks(api, found, as_json=as_json)
    else:
        click.echo(json_text(found) if as_json else aligned_table([row for row in _detail_rows(found) if row[1]]))


def _show_chunks(api: ApiClient, document: Fields, *, as_json: bool) -> None:
    shown = list(all_items(api, f"{document_path(document.text('id'))}/chunks"))
    if as_json:
        click.echo(json_text(shown))
        return
    for chunk in shown:
        click.secho(f"{chunk.number('number') or 0:.0f} · {title_and_page(Fields(chunk | {'title': chunk.text('heading')}))}", dim=True)
        click.echo(plain_text(chunk.text("text")).rstrip("\n") + "\n")
    if not shown:
        click.echo(f"The document has no chunks: it is {_status(document)}.")
    elif len(shown) < (document.number("chunks") or 0):
        print_note(f"Only the first {len(shown)} chunks are shown.")


def _detail_rows(document: Fields) -> list[tuple[str, str]]:
    return [
        ("id", one_line(document.text("id"))),
        ("title", one_line(document.text("title"))),
        ("file", f"{one_line(document.text('filename'))} ({one_line(document.text('content_type'))}, {_file_size(document)})"),
        ("status", _status(document)),
        ("error", " ".join(part for part in (one_line(document.text("error")), _in_parentheses(document.text("error_code"))) if part)),
        ("note", one_line(document.text("note"))),
        ("chunks", f"{document.number('chunks') or 0:.0f}"),
        ("visible to", _visibility(document) or "you"),
        ("added", local_time(document.text("created_at"))),
    ]


def _status(document: Fields) -> str:
    status = one_line(document.text("status"))
    return f"{status} {document.number('progress') or 0:.0%}" if status == "processing" else status


def _file_size(document: Fields) -> str:
    count = document.number("bytes") or 0
    if count < 1000:
        return f"{count:.0f} B"
    return f"{count / 1000:.0f} kB" if count < 999_500 else f"{count / 1_000_000:.1f} MB"


def _visibility(document: Fields) -> str:
    if owner := document.part("owner").text("email"):
        return f"a group ({one_line(owner)}'s)"
    if document.get("is_own") is False:
        return "all users (not yours)"
    return "all users" if document.get("shared") is True else ""


def _in_parentheses(code: str) -> str:
    return f"({one_line(code)})" if code else ""


def _document_row(document: Fields) -> tuple[str, ...]:
    return (
        short_id(document.text("id")),
        shortened(document.text("title"), characters=50),
        _status(document),
        _file_size(document),
        f"{document.number('chunks') or 0:.0f}",
        local_time(document.text("created_at")),
        _visibility(document),
    )


DOCUMENTS = Table(
    ("id", "title", "status", "size", "chunks", "added", "visible to"),
    _document_row,
    "No documents yet. Add one: parley documents add handbook.pdf",
)


for command in (add, search, rename, share, unshare, delete):
    documents.add_command(command)
