"""From HTML to what a reader sees of it. The parser is imported when a page is read."""

import re

_UNREAD = ["script", "style", "noscript", "template", "svg", "iframe", "form", "nav", "header", "footer", "aside", "dialog"]
_BLOCKS = "address article blockquote br dd div dl dt figcaption h1 h2 h3 h4 h5 h6 hr li main ol p pre section table tr ul"
_MAIN = ("main", "[role=main]", "article")
_BLOCK = "\ue000"  # where a block begins or ends: no other break of a line means anything
_SPACES, _BREAKS = re.compile(r"\s+"), re.compile(rf"\s*{_BLOCK}[\s{_BLOCK}]*")
_FEW_LETTERS = 200


def readable(html: str) -> str:
    """Return title and text, a line for each block; of the main part alone where the page names one that says something."""
    from selectolax.lexbor import LexborHTMLParser

    page = LexborHTMLParser(html)
    title = page.css_first("title")
    heading = _tidy(title.text()) if title else ""
    page.strip_tags(_UNREAD)
    for block in page.css(_BLOCKS.replace(" ", ",")):
        block.insert_before(_BLOCK)
        block.insert_after(_BLOCK)
    for cell in page.css("td,th"):
        cell.insert_after(" ")
    parts = [_tidy(node.text()) for selector in _MAIN if (node := page.css_first(selector))]
    body = next((part for part in parts if len(part) > _FEW_LETTERS), None) or (_tidy(page.body.text()) if page.body else "")
    return f"{heading}\n\n{body}".strip()


def _tidy(text: str) -> str:
    return _SPACES.sub(" ", _BREAKS.sub(_BLOCK, text)).replace(_BLOCK, "\n").strip()
