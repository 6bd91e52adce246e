"""What a server lists, returns or fails with, as the model and the user see it, without a server."""

import asyncio
from types import SimpleNamespace

import pytest

from functions.toolrunner import mcp_client
from parley.tools.guarded_http.errors import FetchFailed


def block(type, **fields):
    return SimpleNamespace(type=type, **fields)


@pytest.mark.parametrize(
    ("content", "structured", "shown"),
    [
        ([block("text", text="one"), block("text", text="two")], {"a": 1}, "one\ntwo"),
        ([block("image", data="x"), block("resource", resource=SimpleNamespace(text="notes"))], None, "[image omitted]\nnotes"),
        ([block("resource", resource=SimpleNamespace(blob="x"))], None, "[resource omitted]"),
        ([], {"a": "ü"}, '{"a": "ü"}'),
        ([], None, ""),
    ],
)
def test_a_result_is_its_texts_or_its_data(content, structured, shown):
    assert mcp_client._render_result(SimpleNamespace(content=content, structured_content=structured)) == shown


class PagedServer:
    """A server whose list of tools has pages of this many tools."""

    def __init__(self, size, *, last=10**6):
        self.size, self.last, self.cursors = size, last, []

    async def list_tools(self, *, cursor):
        self.cursors.append(cursor)
        number = len(self.cursors)
        tool = SimpleNamespace(name="echo", description=None, input_schema={"type": "object"})
        return SimpleNamespace(tools=[tool] * self.size, next_cursor=None if number == self.last else str(number))


@pytest.mark.parametrize(
    ("server", "tools", "pages"),
    [
        (PagedServer(50), 100, 2),
        (PagedServer(49), 147, 3),
        (PagedServer(1), 10, 10),
        (PagedServer(30, last=2), 60, 2),
        (PagedServer(120), 120, 1),
    ],
)
def test_a_list_is_read_until_it_ends_has_a_hundred_tools_or_ten_pages(server, tools, pages):
    async def read():
        return [tool async for tool in mcp_client._tools(server)]

    listed = asyncio.run(read())

    assert (len(listed), len(server.cursors)) == (tools, pages)
    assert server.cursors[:2] == [None, "1"][: len(server.cursors)]
    assert listed[0] == {"name": "echo", "description": "", "parameters": {"type": "object"}}


class MCPError(Exception):
    """An error of the client, which is known by its name."""

    def __init__(self, message):
        super().__init__(message)
        self.message = message


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ExceptionGroup("all", [ExceptionGroup("some", [MCPError("no such tool")])]), "The server returned an error: no such tool"),
        (MCPError("x" * 900), f"The server returned an error: {'x' * 500}"),
        (MCPError(""), "The server could not be reached."),
        (ValueError("secret"), "The server could not be reached."),
        (caused(ValueError("outer"), FetchFailed("Refused.")), "Refused."),
        (ExceptionGroup("all", [caused(MCPError("outer"), caused(OSError(), FetchFailed("Refused.")))]), "Refused."),
    ],
)
def test_a_failure_is_told_without_internals(error, reason):
    assert mcp_client._reason(error) == reason


def test_a_result_repeats_five_questions_of_five_hundred_characters():
    questions = mcp_client._DeclinedQuestions()
    assert questions.append_to("done") == "done"
    for number in range(6):
        asyncio.run(questions.decline(None, SimpleNamespace(message=f"{number}" * 501)))
    content = questions.append_to("done")

    assert content.startswith("done\n[The tool asked the user for input")
    assert content.endswith("\n" + "\n".join(f"- {str(number) * 500}" for number in range(5)) + "]")
