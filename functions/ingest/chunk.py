"""A piece of a document that is found and cited as one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece by its number, from 0. `headings` lead to it, `page` is where it begins, `start` counts the document's characters."""

    number: int
    text: str
    headings: tuple[str, ...]
    page: int | None
    start: int
    tokens: int

    def way(self, title: str) -> str:
        """Return the way to it, from the document's title down: searched with the text, for it tells what the text is about."""
        return " > ".join([title, *self.headings])
