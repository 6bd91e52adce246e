"""Where an answer ends: at a stop sequence, after its first tool call, or with `Finished`.

Stop sequences and single tool calls are applied here, so that they work with every vendor.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

from parley.llm.messages import Finished, ToolCall, ToolCallDelta


class StopSequences:
    """Ends a text before the first stop sequence, which may be split across several deltas. `met` is the sequence that was found."""

    def __init__(self, sequences: Sequence[str]) -> None:
        self._sequences = sequences
        self._withheld = ""
        self.met: str | None = None

    @property
    def is_met(self) -> bool:
        """Whether a stop sequence has ended the text."""
        return self.met is not None

    def feed(self, text: str) -> str:
        """Return the text to show now. Drop a stop sequence and all text after it; withhold text that may begin a stop sequence."""
        text = self._withheld + text
        found = [(position, sequence) for sequence in self._sequences if (position := text.find(sequence)) >= 0]
        if found:
            (position, self.met), self._withheld = min(found), ""
            return text[:position]
        overlap = max((_overlap(text, sequence) for sequence in self._sequences), default=0)
        self._withheld = text[len(text) - overlap :]
        return text[: len(text) - overlap]

    def rest(self) -> str:
        """Return the withheld text, once. Call this after a text has ended without a stop sequence."""
        withheld, self._withheld = self._withheld, ""
        return withheld


def _overlap(text: str, sequence: str) -> int:
    """Return the length of the longest suffix of `text` that is a proper prefix of `sequence`."""
    return next((size for size in range(min(len(sequence) - 1, len(text)), 0, -1) if text.endswith(sequence[:size])), 0)


def with_one_call[Event](events: Generator[Event]) -> Generator[Event]:
    """Yield the events without the second and further tool calls, for vendors that cannot be asked for a single call."""
    has_call, index = False, None
    with closing(events):
        for event in events:
            match event:
                case ToolCall():
                    is_first, has_call = not has_call, True
                case ToolCallDelta():
                    index = event.index if index is None else index
                    is_first = event.index == index
                case _:
                    is_first = True
            if is_first:
                yield event


def until_finished[Event](events: Iterator[Event]) -> Iterator[Event]:
    """Yield the events up to `Finished`. The generator behind them is not run to its end."""
    for event in events:
        yield event
        if isinstance(event, Finished):
            return
