"""The text of a question: from the command line, standard input, files and a template."""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from cli.chat.templates import Template


def read_question(message: str | None, *, files: Sequence[Path] = (), template: Template | None = None, values: Mapping[str, str]) -> str:
    """Return the message, followed by what is piped in and by the text of `files`. Raises UsageError if there is no text.

    With a template, all of that is its `$input`. `-` as the message is replaced by standard input.
    """
    piped = _read_piped(is_required=message == "-")
    parts = [message if message != "-" else None, piped, *map(_file_text, files)]
    question = "\n\n".join(part for part in parts if part and part.strip())
    if template:
        question = template.filled(question, values)
    if not question.strip():
        raise click.UsageError("The message must contain text.")
    return question


def has_piped_input() -> bool:
    """Return whether standard input is not a terminal."""
    return not sys.stdin.isatty()


def _read_piped(*, is_required: bool) -> str:
    if not is_required and not has_piped_input():
        return ""
    text: str = click.get_text_stream("stdin", encoding="utf-8", errors="replace").read()
    return text


def _file_text(path: Path) -> str:
    """Return a file's text in a fence, below its name. Raises UsageError if the file is not text."""
    content = path.read_bytes()
    if b"\0" in content:
        raise click.UsageError(f"{path} is not text. Add it as a document instead: parley documents add {path}")
    text = content.decode(errors="replace")
    longest = max((len(run) for run in re.findall("`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    end = "" if text.endswith("\n") else "\n"
    return f"{path.name}:\n{fence}\n{text}{end}{fence}"
