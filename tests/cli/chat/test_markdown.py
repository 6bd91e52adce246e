"""Answers in a terminal: Markdown that is rendered while it arrives, and signs of life while it does not."""

import pytest

from tests.cli import replies


def delta(text):
    return ("text.delta", {"text": text})


def screen_after(server, terminal, *texts, args=()):
    server.on("POST /chat", replies.event_stream(replies.TURN_STARTED, *map(delta, texts), replies.TURN_COMPLETED))
    person = terminal("chat", "Hi", *args)
    assert person.end() == 0
    return person.lines[:-1]  # without the line about cost and time


def test_markdown_is_rendered(server, alice, terminal):
    lines = screen_after(server, terminal, "# Plan\n\nFirst **eat**", ", then `sleep`.\n\n", "- one\n- two\n\n```python\nx = 1\n```\n")

    text = "\n".join(lines)
    assert not set("*`#") & set(text)
    assert "First eat, then sleep." in lines
    assert [line.strip() for line in lines if "•" in line] == ["• one", "• two"]


def test_a_long_answer_is_shown_once_and_whole(server, alice, terminal):
    paragraphs = [f"Paragraph {number}.\n\n" for number in range(60)]

    lines = screen_after(server, terminal, *paragraphs)

    assert [line for line in lines if line] == [text.strip() for text in paragraphs]


def test_a_block_longer_than_the_screen_is_whole_in_the_end(server, alice, terminal):
    code = [f"line_{number}\n" for number in range(60)]

    lines = screen_after(server, terminal, "```\n", *code, "```\n")

    assert [line.strip() for line in lines if line.strip()] == [text.strip() for text in code]


def test_the_text_after_code_with_line_separators_of_unicode_is_not_drawn_as_code(server, alice, terminal):
    code = "```\none\u2028two\u2029three\nfour\n```\n\n"

    lines = screen_after(server, terminal, f"{code}The **end**.\n\n", "- last\n")

    assert "The end." in lines


def test_a_link_shows_where_it_leads(server, alice, terminal):
    assert "(https://evil.example)" in "".join(screen_after(server, terminal, "[your bank](https://evil.example)"))


def test_raw_prints_the_markdown(server, alice, terminal):
    assert screen_after(server, terminal, "**bold**", args=["--raw"]) == ["**bold**"]


def test_a_pipe_gets_the_markdown(server, alice, parley):
    server.on("POST /chat", replies.answer("**bold**"))

    assert parley("chat", "Hi").stdout == "**bold**\n"


def test_a_silent_model_shows_the_elapsed_time(server, alice, terminal, gate):
    server.on("POST /chat", replies.event_stream(replies.TURN_STARTED, gate.open, delta("Done."), replies.TURN_COMPLETED))
    person = terminal("chat", "Think")
    person.expect("1 s")
    gate.open.set()

    assert person.end() == 0
    assert person.lines[0] == "Done."


def test_recalled_memories_are_one_line(server, alice, terminal):
    memories = [("memory", {"text": f"Fact {number}."}) for number in (1, 2)]
    server.on("POST /chat", replies.event_stream(replies.TURN_STARTED, *memories, delta("Hello."), replies.TURN_COMPLETED))
    person = terminal("chat", "Hi")

    assert person.end() == 0
    assert person.lines[:2] == ["remembered 2 things: Fact 1. · Fact 2.", "Hello."]


def test_quiet_shows_only_the_answer(server, alice, terminal):
    call = ("tool.call", {"call_id": "1", "name": "clock", "arguments": {}})
    server.on("POST /chat", replies.event_stream(replies.TURN_STARTED, call, delta("Noon."), replies.TURN_COMPLETED))
    person = terminal("chat", "Time?", "--quiet")

    assert person.end() == 0
    assert person.lines == ["Noon."]


@pytest.mark.parametrize(
    ("amount", "shown"), [(0, "$0.00"), (0.00003, "$0.00003"), (0.00042, "$0.00042"), (0.0099, "$0.0099"), (1.5, "$1.50")]
)
def test_costs_are_readable(amount, shown):
    from cli.output import dollars

    assert dollars(amount) == shown
