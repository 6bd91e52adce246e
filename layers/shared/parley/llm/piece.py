"""How a piece of a document is written for a model that is to describe it, and read again by the offline one."""

_BEFORE, _AFTER, _PIECE = "Before it stands:\n\n", "After it stands:\n\n", "The piece, from "


def written(way: str, text: str, *, before: str = "", after: str = "") -> str:
    """Return the prompt's end: what stands around the piece, where the model is not shown the whole document, and the piece."""
    around = [mark + part for mark, part in ((_BEFORE, before), (_AFTER, after)) if part]
    return "\n\n".join([*around, f"{_PIECE}{way}:", text])


def read(prompt: str) -> tuple[str, str]:
    """Return the way to the piece, and its text."""
    head, _, text = prompt.rpartition(_PIECE)[2].partition(":\n\n")
    return head, text
