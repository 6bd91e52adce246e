"""`parley documents`: what there is to answer from."""

import click

from cli.api import Api
from cli.document import PATH, address, find, place
from cli.document_add import add
from cli.document_changes import delete, id_argument, rename, share, unshare
from cli.document_search import search
from cli.fields import Fields
from cli.listing import PAGES, ListGroup, Table, json_option, limit_option, newest, pages
from cli.moments import local_time
from cli.options import with_api_or_key
from cli.short_ids import short
from cli.terminal import block, json_text, line, note, shortened, table


@click.group(cls=ListGroup)
def documents() -> None:
    """Add, list, show, search, rename, share and delete documents."""


@documents.command("list")
@limit_option
@json_option
@with_api_or_key
def list_all(api: Api, limit: int, as_json: bool) -> None:
    """List your documents and the shared ones, the newest first."""
    DOCUMENTS.show(newest(api, PATH, limit=limit), as_json=as_json)


@documents.command()
@id_argument
@click.option("--chunks", is_flag=True, help="Show the pieces that it was cut into, which answers cite.")
@json_option
@with_api_or_key
def show(api: Api, document: str, chunks: bool, as_json: bool) -> None:
    """Show a document; a short id will do."""
    found = find(api, document)
    if chunks:
        _show_chunks(api, found, as_json=as_json)
    else:
        click.echo(json_text(found) if as_json else table([row for row in _about(found) if row[1]]))


def _show_chunks(api: Api, document: Fields, *, as_json: bool) -> None:
    found = list(pages(api, f"{address(document.text('id'))}/chunks"))
    if as_json:
        click.echo(json_text(found))
        return
    for chunk in found:
        click.secho(f"{chunk.number('number') or 0:.0f} · {place(Fields(chunk | {'title': chunk.text('heading')}))}", dim=True)
        click.echo(block(chunk.text("text")).rstrip("\n") + "\n")
    if not found:
        click.echo(f"It has no chunks: it is {_state(document)}.")
    elif len(found) < (document.number("chunks") or 0):
        note(f"These are the first {PAGES * 100}.")


def _about(document: Fields) -> list[tuple[str, str]]:
    return [
        ("id", line(document.text("id"))),
        ("title", line(document.text("title"))),
        ("file", f"{line(document.text('filename'))} ({line(document.text('content_type'))}, {_size(document)})"),
        ("is", _state(document)),
        ("why", " ".join(part for part in (line(document.text("error")), _in_brackets(document.text("error_code"))) if part)),
        ("note", line(document.text("note"))),
        ("chunks", f"{document.number('chunks') or 0:.0f}"),
        ("for", _readers(document) or "you"),
        ("added", local_time(document.text("created_at"))),
    ]


def _state(document: Fields) -> str:
    status = line(document.text("status"))
    return f"{status} {document.number('progress') or 0:.0%}" if status == "processing" else status


def _size(document: Fields) -> str:
    count = document.number("bytes") or 0
    if count < 1000:
        return f"{count:.0f} B"
    return f"{count / 1000:.0f} kB" if count < 999_500 else f"{count / 1_000_000:.1f} MB"


def _readers(document: Fields) -> str:
    if document.get("is_own") is False:
        return "all, by another"
    return "all" if document.get("shared") is True else ""


def _in_brackets(code: str) -> str:
    return f"({line(code)})" if code else ""


def _row(document: Fields) -> tuple[str, ...]:
    return (
        short(document.text("id")),
        shortened(document.text("title"), characters=50),
        _state(document),
        _size(document),
        f"{document.number('chunks') or 0:.0f}",
        local_time(document.text("created_at")),
        _readers(document),
    )


DOCUMENTS = Table(
    ("id", "title", "is", "size", "chunks", "added", "for"), _row, "No documents yet. Add one: parley documents add handbook.pdf"
)
for command in (add, search, rename, share, unshare, delete):
    documents.add_command(command)
