"""A conversation as text, for a model that reads it and takes no part: numbered, with who spoke and when.

The offline provider reads it back by the same rules.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

SO_FAR, SINCE = "The summary so far:", "What was said since:"
_LINE = re.compile(r"^\[(\d+)\] (user|assistant), (\d{4}-\d{2}-\d{2}): ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Line:
    """One message: its number in the conversation, who spoke on which day, and the text."""

    seq: int
    speaker: Literal["user", "assistant"]
    day: date
    text: str


def written(lines: Sequence[Line], *, summary: str | None = None) -> str:
    """Return the lines as text, behind the summary of what came before them.

    Every line of a message but its first is indented: nothing that is said in one can pass for another.
    """
    said = "\n".join(f"[{line.seq}] {line.speaker}, {line.day}: {'\n  '.join(line.text.splitlines())}" for line in lines)
    return f"{SO_FAR}\n{summary}\n\n{SINCE}\n{said}" if summary else f"{SINCE}\n{said}"


def read(text: str) -> tuple[str | None, list[Line]]:
    """Return the summary and the lines of what `written` wrote."""
    before, _, said = text.partition(f"{SINCE}\n") if text.startswith(SINCE) else text.partition(f"\n\n{SINCE}\n")
    _, *fields = _LINE.split(said)
    found = [fields[place : place + 4] for place in range(0, len(fields), 4)]
    lines = [Line(int(seq), _speaker(who), date.fromisoformat(day), _unfolded(body)) for seq, who, day, body in found]
    return before.removeprefix(f"{SO_FAR}\n") or None, lines


def _unfolded(body: str) -> str:
    return body.removesuffix("\n").replace("\n  ", "\n")


def _speaker(word: str) -> Literal["user", "assistant"]:
    return "user" if word == "user" else "assistant"
