"""A piece of a document's structure."""

from dataclasses import dataclass
from typing import Literal

type Kind = Literal["heading", "paragraph", "code", "table"]


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, a paragraph, a piece of code or a table, as text; a table has a row in each line, the first names its columns.

    `level` is a heading's, from 1. `page` counts from 1, where the format has pages.
    """

    kind: Kind
    text: str
    level: int = 0
    page: int | None = None
