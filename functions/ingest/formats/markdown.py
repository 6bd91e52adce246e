"""Markdown (CommonMark with tables)."""

import re
from collections.abc import Iterator

from functions.ingest.block import Block
from functions.ingest.formats import html

_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def read(text: str) -> Iterator[Block]:
    """Yield the blocks of a Markdown text, without its front matter."""
    from markdown_it import MarkdownIt

    # Embedded HTML is parsed like any HTML, so its text is searchable too.
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    return html.read(parser.render(_FRONT_MATTER.sub("", text)))
