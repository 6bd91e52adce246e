"""`parley documents search`: the pieces of documents that fit some words."""

from collections.abc import Sequence

import click

from cli.api import Api
from cli.connection import Call
from cli.document import PATH, find_ids, place
from cli.fields import Fields
from cli.listing import json_option
from cli.options import with_api_or_key
from cli.short_ids import short
from cli.terminal import json_text, line, note, shortened

NONE_FOUND = "Nothing fits these words. What there is: parley documents"


@click.command()
@click.argument("words", metavar="WORDS...", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1, 100), default=5, show_default=True, help="How many pieces to show.")
@click.option("--in", "only_in", metavar="ID", multiple=True, help="Search this document only; may be given often.")
@json_option
@with_api_or_key
def search(api: Api, words: tuple[str, ...], limit: int, only_in: tuple[str, ...], as_json: bool) -> None:
    """Find the pieces that fit WORDS, the best first.

    They are ranked by words and by meaning.
    """
    query: dict[str, str | int | Sequence[str]] = {"q": " ".join(words), "limit": limit}
    if only_in:
        query["document_id"] = find_ids(api, only_in)
    answer = Fields.of(api.fetch(Call("GET", f"{PATH}/search", query=query)))
    found = answer.parts("items")
    if answer.text("mode") == "text":
        note("Found by words only: there is no model of the role `embedding` that answers.")
    click.echo(json_text(found) if as_json else "\n\n".join(map(_piece, found)) or NONE_FOUND)


def _piece(piece: Fields) -> str:
    heading = line(piece.text("heading"))
    under = f" · {heading}" if heading and heading != line(piece.text("title")) else ""
    return f"{place(piece)} ({short(piece.text('document_id'))}){under}\n  {shortened(piece.text('text'), characters=300)}"
