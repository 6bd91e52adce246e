"""The structural elements that every format is parsed into."""

from dataclasses import dataclass
from typing import Literal

type Kind = Literal["heading", "paragraph", "code", "table"]


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, a paragraph, a section of code or a table.

    The text of a table has one row per line, and the first row names the columns. `level` is the level of a heading,
    counted from 1. `page` counts from 1 and is None if the format has no pages.
    """

    kind: Kind
    text: str
    level: int = 0
    page: int | None = None
