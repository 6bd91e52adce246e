"""What a server lists, returns or fails with, as the model and the user see it, without a server."""

import asyncio
from types import SimpleNamespace

import httpx2
import pytest
from mcp.types import CallToolResult, ElicitRequest, ElicitRequestFormParams, ElicitRequestURLParams, InputRequiredResult, ListRootsRequest

from functions.toolrunner import mcp_client
from functions.toolrunner.mcp_transport import BoundedTransport
from functions.toolrunner.requests import parse_request
from parley.tools.guarded_http.egress_filter import EgressFilter
from parley.tools.guarded_http.errors import FetchFailed
from parley.tools.guarded_http.transport import AsyncGuardedTransport


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
        (PagedServer(33), 132, 4),
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


@pytest.mark.parametrize(("size", "is_taken"), [(5_000_000, True), (5_000_001, False)])
def test_a_response_has_five_megabytes_at_most(monkeypatch, size, is_taken):
    async def respond(transport, request):
        return httpx2.Response(200, stream=httpx2.ByteStream(b"x" * size))

    async def read():
        async with httpx2.AsyncClient(transport=BoundedTransport(EgressFilter())) as http:
            return len((await http.get("http://notes.example/")).content)

    monkeypatch.setattr(AsyncGuardedTransport, "handle_async_request", respond)
    if is_taken:
        assert asyncio.run(read()) == size
    else:
        with pytest.raises(FetchFailed, match="larger than 5 MB"):
            asyncio.run(read())


@pytest.mark.parametrize(("header", "sent"), [("Region", {"mcp-param-region": "eu"}), ("not a header", {})])
def test_the_first_request_of_a_call_has_the_header_that_its_schema_names(header, sent):
    parameters = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": header}}}
    call = {"op": "mcp_call", "server": {"url": "https://notes.example"}, "name": "echo", "parameters": parameters}
    headers = mcp_client._parameter_headers(parse_request(call | {"arguments": {"region": "eu"}, "timeout_s": 5}))

    assert {name.lower(): value for name, value in headers.items()} == sent


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


class AskingServer:
    """A server that ends the first call with these questions and a state. It records what each call continues."""

    def __init__(self, questions):
        self.questions, self.calls, self.session = questions, [], self

    async def call_tool(self, name, arguments, *, input_responses, request_state, allow_input_required=False):
        self.calls.append((input_responses and {id: response.action for id, response in input_responses.items()}, request_state))
        if allow_input_required:
            return InputRequiredResult(input_requests=self.questions, request_state="page 1")
        return CallToolResult(content=[])


FORM = ElicitRequest(params=ElicitRequestFormParams(message="Sure?", requested_schema={"type": "object", "properties": {}}))


@pytest.mark.parametrize(
    ("questions", "continued"),
    [
        ({"a": FORM, "b": FORM}, ({"a": "decline", "b": "decline"}, "page 1")),
        (None, ({}, "page 1")),
        ({"a": FORM, "b": ListRootsRequest()}, (None, None)),
    ],
    ids=["two questions", "no question", "a question for the client"],
)
def test_a_call_that_asks_nothing_a_user_can_answer_goes_on_from_its_state_or_again(questions, continued):
    server = AskingServer(questions)
    request = parse_request(
        {"op": "mcp_call", "server": {"url": "https://x.example"}, "name": "x", "arguments": {}, "may_ask": True, "timeout_s": 5}
    )
    asyncio.run(mcp_client._call_or_ask(server, request, mcp_client._DeclinedQuestions()))

    assert server.calls == [(None, None), continued]


def asked_form(request, *, state="page 1"):
    return mcp_client._asked_form(InputRequiredResult(input_requests=request and {"a": request}, request_state=state))


def test_a_form_is_returned_with_its_id_and_state():
    schema = {"type": "object", "properties": {"sure": {"type": "boolean"}}}
    form = ElicitRequest(params=ElicitRequestFormParams(message="Sure?", requested_schema=schema))

    for state in ("page 1", "x" * 32_768, None):
        assert asked_form(form, state=state)["request"] == {"id": "a", "state": state}
    assert asked_form(form, state="x" * 32_769) is None


@pytest.mark.parametrize(
    "question",
    [None, ListRootsRequest(), ElicitRequest(params=ElicitRequestURLParams(message="Pay", url="https://pay.example", elicitation_id="1"))],
)
def test_anything_but_a_form_is_not_returned_as_a_form(question):
    assert asked_form(question) is None


@pytest.mark.parametrize(("timeout_s", "server_s"), [(10, 9.5), (1.2, 0.7), (1, 0.5), (0.6, 0.3)])
def test_a_slow_server_is_reported_half_a_second_before_the_time_is_over_or_after_half_of_it(monkeypatch, timeout_s, server_s):
    deadlines_s = []

    async def connect_and_run(mcp_request, run, egress_filter, deadline_s, questions):
        deadlines_s.append(deadline_s)

    monkeypatch.setattr(mcp_client, "time", SimpleNamespace(monotonic=lambda: 100.0))
    monkeypatch.setattr(mcp_client, "_connect_and_run", connect_and_run)
    request = parse_request({"op": "mcp_list", "server": {"url": "https://x.example"}, "timeout_s": timeout_s})
    mcp_client.list_tools(request, egress_filter=EgressFilter())

    assert deadlines_s == [pytest.approx(100 + server_s)]


def test_a_result_repeats_five_questions_of_five_hundred_characters():
    questions = mcp_client._DeclinedQuestions()
    assert questions.append_to("done") == "done"
    for number in range(6):
        asyncio.run(questions.decline(None, SimpleNamespace(message=f"{number}" * 501)))
    content = questions.append_to("done")

    assert content.startswith("done\n[The tool asked the user for input")
    assert content.endswith("\n" + "\n".join(f"- {str(number) * 500}" for number in range(5)) + "]")
