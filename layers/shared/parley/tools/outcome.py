"""The result of running a tool."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parley.db.search import FoundChunk


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """A tool's answer as text, 64 KiB at most, or with `ok` false why there is none, in words for the model.

    `found` are the pieces of documents that the text is made of: what an answer may cite.
    """

    ok: bool
    content: str
    elapsed_ms: float
    found: Sequence["FoundChunk"] = ()
