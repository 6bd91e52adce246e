"""One document: its address, what it is called, and finding the one that is meant."""

from urllib.parse import quote

from cli.api import Api
from cli.connection import Call
from cli.fields import Fields
from cli.listing import pages
from cli.short_ids import pick, short, whole
from cli.terminal import line, shortened

PATH = "/documents"


def address(document_id: str) -> str:
    """Return the path of a document."""
    return f"{PATH}/{quote(document_id, safe='')}"


def fetch(api: Api, document_id: str) -> Fields:
    """Return a document as it is now."""
    return Fields.of(api.fetch(Call("GET", address(document_id))))


def find(api: Api, given: str) -> Fields:
    """Return the document that `given` names: an id, or the start or end of one."""
    found = whole(given)
    return fetch(api, found) if found else pick(pages(api, PATH), given, noun="document", listed_by="parley documents")


def find_ids(api: Api, given: tuple[str, ...]) -> list[str]:
    """Return the ids of the documents that are named; a whole id is taken as it is."""
    return [whole(each) or find(api, each).text("id") for each in given]


def named(document: Fields) -> str:
    """Return title and short id."""
    return f"{line(document.text('title'))!r} ({short(document.text('id'))})"


def place(piece: Fields) -> str:
    """Return the title and the page of a piece of a document."""
    page = piece.number("page")
    return shortened(piece.text("title"), characters=80) + ("" if page is None else f", page {page:.0f}")


def chunks_of(document: Fields) -> str:
    """Return how many chunks a document has."""
    count = document.number("chunks") or 0
    return "1 chunk" if count == 1 else f"{count:,.0f} chunks"
