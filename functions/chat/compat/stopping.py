"""Sequences that end an answer: OpenAI's word `stop`, kept here, so that it holds for every vendor."""

from collections.abc import Sequence


class Stops:
    """Passes text on until one of the sequences comes, which may be cut anywhere between two pieces."""

    def __init__(self, sequences: Sequence[str]) -> None:
        self._sequences, self._held = sequences, ""
        self.is_met = False

    def feed(self, text: str) -> str:
        """Return what may be shown now: nothing from the sequence on, nothing that may yet become one."""
        text = self._held + text
        found = [place for sequence in self._sequences if (place := text.find(sequence)) >= 0]
        if found:
            self.is_met, self._held = True, ""
            return text[: min(found)]
        keep = max((_overlap(text, sequence) for sequence in self._sequences), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def rest(self) -> str:
        """Return what was held back, once the text has ended otherwise."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, sequence: str) -> int:
    """Return how many characters at the end of `text` begin `sequence`."""
    return next((size for size in range(min(len(sequence) - 1, len(text)), 0, -1) if text.endswith(sequence[:size])), 0)
