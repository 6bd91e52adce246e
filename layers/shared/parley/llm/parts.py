"""What messages are made of."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Self

from parley.errors import InvalidInput

_DATA_URL = re.compile(r"data:(image/(?:png|jpeg|gif|webp));base64,", re.IGNORECASE)

# How files of each type begin: a vendor is told a type, and refuses an image of another.
_BEGINNINGS = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
}


@dataclass(frozen=True, slots=True)
class Text:
    """Words."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture: PNG, JPEG, GIF or WebP."""

    media_type: str
    data: bytes

    @classmethod
    def from_data_url(cls, url: str) -> Self:
        """Read `data:image/…;base64,…`. Raises InvalidInput for anything else: no vendor shall fetch an address for us."""
        match = _DATA_URL.match(url)
        try:
            if not match:
                raise ValueError("not an image")
            media_type, content = match[1].lower(), base64.b64decode(url[match.end() :], validate=True)
            if not _BEGINNINGS[media_type].match(content):
                raise ValueError(f"not {media_type}")
            return cls(media_type, content)
        except (ValueError, binascii.Error) as exc:
            raise InvalidInput(
                "an image is a data URL of PNG, JPEG, GIF or WebP in base64, and of the type that it says", loc=("body", "images")
            ) from exc

    @property
    def base64(self) -> str:
        """Return the bytes in base64."""
        return base64.b64encode(self.data).decode()

    @property
    def data_url(self) -> str:
        """Return it as a data URL."""
        return f"data:{self.media_type};base64,{self.base64}"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool; `arguments` is a JSON object as text, checked to be one."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered, or why it could not."""

    call_id: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Thought:
    """A model's reasoning, sealed: only its `origin` reads `payload`, and some demand it back with their tool calls.

    `origin` is provider and model name; to every other model a thought is not sent.
    """

    origin: str
    payload: str


type Part = Text | Image | ToolCall | ToolResult | Thought
