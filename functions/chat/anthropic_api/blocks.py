"""The content blocks of a request's messages.

Unknown fields are ignored, because clients send back the blocks of earlier answers, which may come from any vendor.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from functions.chat.completions.schemas import LenientInput


class BlockIn(LenientInput):
    """Base class of content blocks. A block with `cache_control` asks the vendor to cache the prompt up to this block."""

    cache_control: dict[str, Any] | None = None


class TextBlockIn(BlockIn):
    """A text block."""

    type: Literal["text"]
    text: str


class Base64SourceIn(LenientInput):
    """The bytes of an image in base64."""

    type: Literal["base64"]
    media_type: str
    data: str


class UrlSourceIn(LenientInput):
    """The URL of an image, which must be a data URL."""

    type: Literal["url"]
    url: str


class ImageBlockIn(BlockIn):
    """An image block."""

    type: Literal["image"]
    source: Annotated[Base64SourceIn | UrlSourceIn, Field(discriminator="type")]


class PlainTextSourceIn(LenientInput):
    """A document that is a text."""

    type: Literal["text"]
    data: str


class ContentSourceIn(LenientInput):
    """A document that is a text or a list of blocks."""

    type: Literal["content"]
    content: str | list[TextBlockIn]


class DocumentBlockIn(BlockIn):
    """A document, which must be text: models of other vendors read no PDF files."""

    type: Literal["document"]
    source: Annotated[PlainTextSourceIn | ContentSourceIn, Field(discriminator="type")]
    title: str | None = None
    context: str | None = None


class SearchResultBlockIn(BlockIn):
    """A result of the client's own search."""

    type: Literal["search_result"]
    content: list[TextBlockIn]
    source: str
    title: str


class ToolUseBlockIn(BlockIn):
    """A tool call that the model made."""

    type: Literal["tool_use"]
    id: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)]
    input: dict[str, Any]


type ResultContentIn = list[Annotated[TextBlockIn | ImageBlockIn | DocumentBlockIn | SearchResultBlockIn, Field(discriminator="type")]]


class ToolResultBlockIn(BlockIn):
    """The result of a tool call."""

    type: Literal["tool_result"]
    tool_use_id: Annotated[str, Field(min_length=1)]
    content: str | ResultContentIn | None = None
    is_error: bool | None = None


class ThinkingBlockIn(LenientInput):
    """The reasoning of an earlier answer. The signature is the model's own form of it."""

    type: Literal["thinking"]
    thinking: str
    signature: str


class RedactedThinkingBlockIn(LenientInput):
    """Reasoning of an earlier answer that only the model can read."""

    type: Literal["redacted_thinking"]
    data: str


type ContentBlockIn = Annotated[
    TextBlockIn
    | ImageBlockIn
    | DocumentBlockIn
    | SearchResultBlockIn
    | ToolUseBlockIn
    | ToolResultBlockIn
    | ThinkingBlockIn
    | RedactedThinkingBlockIn,
    Field(discriminator="type"),
]


def text_of(content: str | list[TextBlockIn]) -> str:
    """Return a text, or the texts of the blocks, one below the other."""
    return content if isinstance(content, str) else "\n\n".join(block.text for block in content)


def document_text(block: DocumentBlockIn | SearchResultBlockIn) -> str:
    """Return a document or a search result as one text, with its title above it."""
    if isinstance(block, SearchResultBlockIn):
        return "\n".join([block.title, block.source, text_of(block.content)])
    text = block.source.data if isinstance(block.source, PlainTextSourceIn) else text_of(block.source.content)
    return "\n".join(filter(None, [block.title, block.context, text]))
