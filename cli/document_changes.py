"""`parley documents`: renaming, sharing and deleting."""

import click

from cli import prompts
from cli.api import Api
from cli.connection import Call
from cli.document import address, find, named
from cli.errors import CliError, Refused
from cli.fields import Fields
from cli.options import with_api_or_key

id_argument = click.argument("document", metavar="ID")


@click.command()
@id_argument
@click.argument("title")
@with_api_or_key
def rename(api: Api, document: str, title: str) -> None:
    """Call a document TITLE; a short id will do."""
    found = find(api, document)
    changed = Fields.of(api.fetch(Call("PATCH", address(found.text("id")), {"title": title})))
    click.echo(f"{named(found)} is called {changed.text('title')!r} now")


@click.command()
@id_argument
@with_api_or_key
def share(api: Api, document: str) -> None:
    """Let all users of the server read your document; for admins."""
    click.echo(f"{named(set_shared(api, find(api, document), shared=True))} is shared with all users")


@click.command()
@id_argument
@with_api_or_key
def unshare(api: Api, document: str) -> None:
    """Have your document for yourself again; for admins."""
    click.echo(f"{named(set_shared(api, find(api, document), shared=False))} is yours alone")


@click.command()
@click.argument("given", metavar="ID...", nargs=-1, required=True)
@prompts.yes_option
@with_api_or_key
def delete(api: Api, given: tuple[str, ...], yes: bool) -> None:
    """Delete documents; short ids will do.

    What was made of them goes as well: their text, their chunks and vectors.
    """
    found = {document.text("id"): document for document in [find(api, each) for each in given]}
    prompts.confirm(f"Delete {', '.join(map(named, found.values()))}?", yes=yes)
    for id, document in found.items():
        api.fetch(Call("DELETE", address(id)))
        click.echo(f"Deleted {named(document)}")


def set_shared(api: Api, document: Fields, *, shared: bool) -> Fields:
    """Share a document with all users or with nobody, and return it. Raises `CliError` for who is no admin."""
    try:
        return Fields.of(api.fetch(Call("PATCH", address(document.text("id")), {"shared": shared})))
    except Refused as exc:
        if exc.status != 403:
            raise
        raise CliError(f"Only admins share documents with all users; {named(document)} is as it was.", details=exc.details) from exc
