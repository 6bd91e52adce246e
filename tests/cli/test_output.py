"""Control sequences in untrusted text never reach the terminal."""

import itertools

import pytest

from cli.output import ControlFilter, one_line, shortened

HOSTILE = {
    "\x1b[31mred\x1b[0m": "red",
    "\x1b]0;title\x07after": "after",
    "\x1b]52;c;c2VjcmV0\x1b\\after": "after",
    "\x1bP+q544e\x1b\\after": "after",
    "\x9b31mred": "red",
    "\x9dtitle\x9cafter": "after",
    "\x1b(Bafter": "after",
    "\x1bcafter": "after",
    "a\rb\x08c\x07d\x7fe\x00f\x85g": "abcdefg",
    "\x1b[31": "",
    "\x1b[3\nnext": "\nnext",
    "\x1b[3é": "é",
    "\x1b]never closed\nnext line": "\nnext line",
    "\x1b\x1b[31mx": "x",
    "tab\tand\nline": "tab\tand\nline",
    "emoji 👩‍👩‍👧, עברית": "emoji 👩‍👩‍👧, עברית",
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.items())
def test_control_sequences_are_removed_whole(text, shown):
    assert ControlFilter().feed(text) == shown


@pytest.mark.parametrize(("text", "shown"), HOSTILE.items())
def test_control_sequences_split_anywhere_are_removed(text, shown):
    for cuts in itertools.combinations(range(len(text) + 1), 2):
        pieces = (text[: cuts[0]], text[cuts[0] : cuts[1]], text[cuts[1] :])
        pending = ControlFilter()

        assert "".join(pending.feed(piece) for piece in pieces) == shown


def test_a_title_is_shortened_to_one_line():
    assert one_line("two\nlines\t\x1b[1mhere ") == "two lines here"
    assert shortened("twelve chars", characters=6) == "twelv…"
