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

    def embedded_text(self, title: str) -> str:
        """Return what its vector and its search terms are made of: the way to it, then the piece itself."""
        return f"{' > '.join([title, *self.headings])}\n\n{self.text}"
