"""Markdown (CommonMark with tables)."""

import re
from collections import Counter
from collections.abc import Iterator

from functions.ingest.block import Block
from functions.ingest.formats import html

_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
# Elements that are left out, and those in which the HTML parser takes all tags for text.
_SWALLOWING = {*html.BOILERPLATE_TAGS, "title", "textarea", "xmp", "plaintext", "noembed", "noframes"}
_TAG = re.compile(rf"<(/?)({'|'.join(sorted(_SWALLOWING))})\b", re.IGNORECASE)


def read(text: str) -> Iterator[Block]:
    """Yield the blocks of a Markdown text, without its front matter."""
    from markdown_it import MarkdownIt

    # Embedded HTML is parsed like any HTML, so its text is searchable too.
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    return html.read(_without_open_ends(parser.render(_FRONT_MATTER.sub("", text))), is_whole=True)


def _without_open_ends(rendered: str) -> str:
    """Turn the tags of elements that do not end into text: the author writes about them, and they would take the rest of the text."""
    tags = Counter((match[2].lower(), match[1]) for match in _TAG.finditer(rendered))
    open_ended = {name for name in _SWALLOWING if tags[name, ""] != tags[name, "/"]}
    return _TAG.sub(lambda match: f"&lt;{match[0][1:]}" if match[2].lower() in open_ended else match[0], rendered)
