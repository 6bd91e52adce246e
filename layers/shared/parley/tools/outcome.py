"""What came of a tool's run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """A tool's answer as text, 64 KiB at most, or with `ok` false why there is none, in words for the model."""

    ok: bool
    content: str
    elapsed_ms: float
