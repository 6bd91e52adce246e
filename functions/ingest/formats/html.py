"""HTML, to which Markdown and DOCX are converted as well. Navigation, forms and scripts are left out."""

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from functions.ingest.block import Block, Kind

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

BOILERPLATE_TAGS = ["script", "style", "nav", "footer", "aside", "form", "noscript", "template", "svg", "iframe", "button", "select"]
_LEVELS = {f"h{level}": level for level in range(1, 7)}
_BETWEEN_CELLS = {"table", "thead", "tbody", "tfoot", "tr", "colgroup"}  # holds only white space: the HTML parser moves other text out
_BLOCK_TAGS = {*_LEVELS, "p", "li", "dt", "dd", "pre", "td", "th", "blockquote", "figcaption", "caption", "summary"}
_BLOCK_TAGS |= {"div", "section", "article", "main", "header", "body", "address", "details", "figure"}


def read(html: str, *, is_whole: bool = False) -> Iterator[Block]:
    """Yield the blocks of the only `main` or `article` element, or of the body if there is none or several, or if it `is_whole`."""
    from selectolax.lexbor import LexborHTMLParser

    page = LexborHTMLParser(html)
    page.strip_tags(BOILERPLATE_TAGS, recursive=True)
    root = page.body if is_whole else _main_part(page)
    texts = (node for node in root.traverse(include_text=True) if node.tag == "-text") if root else ()
    nodes_with_block = ((node, _enclosing_block(node)) for node in texts if node.parent and node.parent.tag not in _BETWEEN_CELLS)
    for (_, kind), group in groupby(nodes_with_block, key=lambda pair: _block_key(pair[1])):
        yield from _block(kind, list(group))


def _main_part(page: "LexborHTMLParser") -> "LexborNode | None":
    """Return the element with the page's own text. Of an article, the comments may be articles inside."""
    for selector in ("main", "article:not(article article)"):
        found = [element for element in page.css(selector) if element.text().strip()]
        if len(found) == 1:
            return found[0]
    return page.body


def _enclosing_block(node: "LexborNode") -> "LexborNode":
    """Return the nearest block element that contains a text node."""
    above = node.parent
    while above is not None and above.tag not in _BLOCK_TAGS and above.parent is not None:
        above = above.parent
    return above or node


def _block_key(element: "LexborNode") -> tuple[int, str]:
    """Return the identity and tag of the element whose text forms one block: a cell's table, or else the element itself."""
    if element.tag in {"td", "th"}:
        above = element.parent
        while above is not None and above.tag != "table":
            above = above.parent
        if above is not None:
            return above.mem_id, "table"
    return element.mem_id, str(element.tag)


def _block(tag: str, texts: "list[tuple[LexborNode, LexborNode]]") -> Iterator[Block]:
    kind: Kind = "table" if tag == "table" else "code" if tag == "pre" else "heading" if tag in _LEVELS else "paragraph"
    if kind == "table":
        text = "\n".join(filter(None, map(_row, _table_rows(texts))))
    else:
        raw_text = "".join(node.text_content or "" for node, _ in texts)
        text = raw_text.strip("\n").rstrip() if kind == "code" else " ".join(raw_text.split())
    if text:
        yield Block(kind, text, level=_LEVELS.get(tag, 0))


def _table_rows(texts: "list[tuple[LexborNode, LexborNode]]") -> "Iterator[list[tuple[LexborNode, LexborNode]]]":
    for _, row in groupby(texts, key=lambda pair: pair[1].parent.mem_id if pair[1].parent else 0):
        yield list(row)


def _row(texts: "list[tuple[LexborNode, LexborNode]]") -> str:
    cells = (list(cell) for _, cell in groupby(texts, key=lambda pair: pair[1].mem_id))
    raw_text = (" ".join("".join(node.text_content or "" for node, _ in cell).split()) for cell in cells)
    return " | ".join(filter(None, raw_text))
