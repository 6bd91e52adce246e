"""The readable text of a web page. The HTML parser is imported when a page is read."""

import re
from typing import Annotated

from pydantic import Field

from parley.tools.decorator import tool
from parley.tools.guarded_http.client import MAX_URL_LETTERS, FetchResult
from parley.tools.spec import ToolContext, ToolFailed

_IGNORED_TAGS = ["script", "style", "noscript", "template", "svg", "iframe", "form", "nav", "header", "footer", "aside", "dialog"]


_BLOCK_TAGS = "address article blockquote br dd div dl dt figcaption h1 h2 h3 h4 h5 h6 hr li main ol p pre section table tr ul"


_MAIN_SELECTORS = ("main", "[role=main]", "article")


_BLOCK_MARK = "\ue000"  # where a block begins or ends: no other break of a line means anything


_SPACES, _BREAKS = re.compile(r"\s+"), re.compile(rf"\s*{_BLOCK_MARK}[\s{_BLOCK_MARK}]*")


_MIN_MAIN_CHARACTERS = 200


def readable_text(html: str) -> str:
    """Return title and text, a line for each block; of the main part alone where the page names one that says something."""
    from selectolax.lexbor import LexborHTMLParser

    page = LexborHTMLParser(html)
    title = page.css_first("title")
    heading = _tidy(title.text()) if title else ""
    page.strip_tags(_IGNORED_TAGS)
    for block in page.css(_BLOCK_TAGS.replace(" ", ",")):
        block.insert_before(_BLOCK_MARK)
        block.insert_after(_BLOCK_MARK)
    for cell in page.css("td,th"):
        cell.insert_after(" ")
    parts = [_tidy(node.text()) for selector in _MAIN_SELECTORS if (node := page.css_first(selector))]
    body = next((part for part in parts if len(part) > _MIN_MAIN_CHARACTERS), None) or (_tidy(page.body.text()) if page.body else "")
    return f"{heading}\n\n{body}".strip()


def _tidy(text: str) -> str:
    return _SPACES.sub(" ", _BREAKS.sub(_BLOCK_MARK, text)).replace(_BLOCK_MARK, "\n").strip()


_META_CHARSET = re.compile(rb"<meta[^>]+charset=[\s\"']*([\w-]+)", re.IGNORECASE)


_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/xhtml+xml")


@tool(egress=True, enabled=False)
def fetch_url(
    url: Annotated[str, Field(description="The page's whole address, http or https", max_length=MAX_URL_LETTERS)], call: ToolContext
) -> str:
    """Read a page of the public web: its title and its text, without menus, scripts and styles."""
    page = call.http.get(url, headers={"Accept": "text/html, text/plain;q=0.9, application/json;q=0.8"}, timeout_s=8)
    if page.status != 200:
        raise ToolFailed(f"The page answers with status {page.status}.")
    return _page_text(page) or "The page has no text."


def _page_text(page: FetchResult) -> str:
    kind, _, parameters = page.content_type.lower().partition(";")
    if kind.strip() in ("text/html", "application/xhtml+xml"):
        return readable_text(page.body.decode(_charset(parameters, page.body), "replace"))
    if kind.strip().startswith(_TEXT_TYPES):
        return page.body.decode(_charset(parameters), "replace")
    raise ToolFailed(f"This is no page of text but {kind.strip() or 'of a kind that is not told'}.")


def _charset(parameters: str, html: bytes = b"") -> str:
    """Return the encoding that the server names, else the page itself near its beginning, else UTF-8."""
    named = parameters.partition("charset=")[2].strip(" \"';")
    if not named and (found := _META_CHARSET.search(html[:1024])):
        named = found[1].decode()
    try:
        b"a".decode(named or "utf-8")
    except (LookupError, UnicodeError):
        return "utf-8"
    return named or "utf-8"
