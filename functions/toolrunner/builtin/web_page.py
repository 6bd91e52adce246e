"""Fetches a web page and extracts its readable text. The HTML parser is imported only when a page is parsed."""

import re
from typing import Annotated

from pydantic import Field

from parley.tools.decorator import tool
from parley.tools.guarded_http.client import MAX_URL_LETTERS, FetchResult
from parley.tools.spec import ToolContext, ToolFailed

_IGNORED_TAGS = ["script", "style", "noscript", "template", "svg", "iframe", "form", "nav", "header", "footer", "aside", "dialog"]
_BLOCK_TAGS = "address article blockquote br dd div dl dt figcaption h1 h2 h3 h4 h5 h6 hr li main ol p pre section table tr ul"
# Several of a kind are a list of news, for example. Comments may be articles inside the article.
_MAIN_SELECTORS = ("main", "[role=main]", "article:not(article article)")
# A main part with less text is ignored, because scripts may fill it in a browser.
_MIN_MAIN_CHARACTERS = 200
# A private-use character marks the start and end of each block, because line breaks in HTML source mean nothing.
_BLOCK_MARK = "\ue000"
_SPACES = re.compile(r"\s+")
_BLOCK_BREAKS = re.compile(rf"(?<!\s)\s*+{_BLOCK_MARK}[\s{_BLOCK_MARK}]*")
_META_CHARSET = re.compile(rb"<meta[^>]+charset=[\s\"']*([\w-]+)", re.IGNORECASE)
_META_WITHIN = 1024
_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/xhtml+xml")


def readable_text(html: str) -> str:
    """Return a page's title and its text, one line per block.

    The text is that of the only main part if it is long enough, else of the body.
    """
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
    parts = [_tidy(found[0].text()) for selector in _MAIN_SELECTORS if len(found := page.css(selector)) == 1]
    body = next((part for part in parts if len(part) > _MIN_MAIN_CHARACTERS), None) or (_tidy(page.body.text()) if page.body else "")
    return f"{heading}\n\n{body}".strip()


def _tidy(text: str) -> str:
    return _SPACES.sub(" ", _BLOCK_BREAKS.sub(_BLOCK_MARK, text)).replace(_BLOCK_MARK, "\n").strip()


@tool(egress=True, enabled=False)
def fetch_url(
    url: Annotated[str, Field(description="The full http or https URL of the page", max_length=MAX_URL_LETTERS)], context: ToolContext
) -> str:
    """Read a public web page: its title and text, without menus, scripts and styles."""
    page = context.http.get(url, headers={"Accept": "text/html, text/plain;q=0.9, application/json;q=0.8"}, timeout_s=8)
    if page.status != 200:
        raise ToolFailed(f"The page responded with status {page.status}.")
    return _page_text(page) or "The page contains no text."


def _page_text(page: FetchResult) -> str:
    kind, _, parameters = page.content_type.lower().partition(";")
    if kind.strip() in ("text/html", "application/xhtml+xml"):
        return readable_text(page.body.decode(_charset(parameters, page.body), "replace"))
    if kind.strip().startswith(_TEXT_TYPES):
        return page.body.decode(_charset(parameters), "replace")
    raise ToolFailed(f"The page is not text but {kind.strip() or 'of an unknown type'}.")


def _charset(parameters: str, html: bytes = b"") -> str:
    """Return the charset named by the server, else by a meta tag near the beginning of the page, else UTF-8."""
    named = parameters.partition("charset=")[2].strip(" \"';")
    if not named and (declared := _META_CHARSET.search(html[:_META_WITHIN])):
        named = declared[1].decode()
    try:
        b"a".decode(named or "utf-8")
    except (LookupError, UnicodeError):
        return "utf-8"
    return named or "utf-8"
