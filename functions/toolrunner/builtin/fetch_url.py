"""The readable text of a web page."""

import re
from typing import Annotated

from pydantic import Field

from functions.toolrunner.builtin.page import readable
from parley.tools.decorator import tool
from parley.tools.guarded_http.client import MAX_URL_LETTERS, FetchResult
from parley.tools.spec import ToolContext, ToolFailed

_META = re.compile(rb"<meta[^>]+charset=[\s\"']*([\w-]+)", re.IGNORECASE)
_TEXTS = ("text/", "application/json", "application/xml", "application/xhtml+xml")


@tool(egress=True, enabled=False)
def fetch_url(
    url: Annotated[str, Field(description="The page's whole address, http or https", max_length=MAX_URL_LETTERS)], call: ToolContext
) -> str:
    """Read a page of the public web: its title and its text, without menus, scripts and styles."""
    page = call.http.get(url, headers={"Accept": "text/html, text/plain;q=0.9, application/json;q=0.8"}, timeout_s=8)
    if page.status != 200:
        raise ToolFailed(f"The page answers with status {page.status}.")
    return _text(page) or "The page has no text."


def _text(page: FetchResult) -> str:
    kind, _, parameters = page.content_type.lower().partition(";")
    if kind.strip() in ("text/html", "application/xhtml+xml"):
        return readable(page.body.decode(_charset(parameters, page.body), "replace"))
    if kind.strip().startswith(_TEXTS):
        return page.body.decode(_charset(parameters), "replace")
    raise ToolFailed(f"This is no page of text but {kind.strip() or 'of a kind that is not told'}.")


def _charset(parameters: str, html: bytes = b"") -> str:
    """Return the encoding that the server names, else the page itself near its beginning, else UTF-8."""
    named = parameters.partition("charset=")[2].strip(" \"';")
    if not named and (found := _META.search(html[:1024])):
        named = found[1].decode()
    try:
        b"a".decode(named or "utf-8")
    except (LookupError, UnicodeError):
        return "utf-8"
    return named or "utf-8"
