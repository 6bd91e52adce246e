"""The MCP client against a real server, and against servers that are unreachable, slow, hostile or internal."""

import asyncio
import gzip
import subprocess
import sys
import time
from types import SimpleNamespace
from urllib.parse import urlsplit

import httpx2
import pytest
from mcp.shared.inbound import decode_header_value
from mcp.types import ElicitRequestFormParams

from functions.toolrunner import mcp_client
from functions.toolrunner.mcp_client import _DeclinedQuestions, _reason, call_tool, list_tools
from functions.toolrunner.requests import parse_request
from parley.tools.guarded_http.egress_filter import EgressFilter
from tests.functions.toolrunner.mcp_server import (
    SECRET,
    OlderRevision,
    make_notes_server,
    running_app,
    running_notes_server,
    running_scripted_server,
)

MODES = {"stateless with JSON": (True, True), "stateless with streams": (True, False), "older, with sessions": (False, False)}


@pytest.fixture(scope="module", params=MODES.values(), ids=MODES)
def notes(request):
    """The URL of a real server in one of its modes."""
    is_stateless, json_response = request.param
    with running_notes_server(is_stateless=is_stateless, json_response=json_response) as url:
        yield url


@pytest.fixture(scope="module")
def one_notes():
    with running_notes_server() as url:
        yield url


def make_request(op, url, *, timeout_s=10.0, headers=None, **fields):
    return parse_request({"op": op, "server": {"url": url, "headers": headers or {}}, "timeout_s": timeout_s} | fields)


def listed(url, **options):
    return list_tools(make_request("mcp_list", url, **options), egress_filter=EgressFilter([urlsplit(url).netloc]))


def called(url, name, *, arguments=None, **options):
    return call_tool(
        make_request("mcp_call", url, name=name, arguments=arguments or {}, **options), egress_filter=EgressFilter([urlsplit(url).netloc])
    )


def test_the_tools_of_a_server_are_listed(notes):
    tools = {tool["name"]: tool for tool in listed(notes)["tools"]}

    assert tools["add"]["description"] == "Add two numbers."
    assert tools["add"]["parameters"]["properties"]["first"]["type"] == "integer"


def test_a_tool_is_run(notes):
    assert called(notes, "add", arguments={"first": 2, "second": 3}) == {"ok": True, "content": "5"}


def test_a_failing_tool_is_reported(one_notes):
    answer = called(one_notes, "fail")

    assert answer["ok"] is False
    assert "fail" in answer["content"]


def test_an_unknown_tool_is_not_a_success(one_notes):
    answer = called(one_notes, "nothing")

    assert answer.get("ok") is not True


def test_the_headers_are_sent(one_notes):
    assert called(one_notes, "opened_by", headers={"Authorization": SECRET})["content"] == SECRET


def test_a_tool_that_asks_the_user_is_declined_and_its_question_is_repeated(notes):
    answer = called(notes, "book", arguments={"city": "Lisbon"})

    assert answer["ok"]
    assert answer["content"].startswith("No room in Lisbon: decline.")
    assert "Ask the user, then call the tool again:\n- Book a room in Lisbon?]" in answer["content"]


def test_a_form_of_a_tool_is_returned_and_the_call_continues_with_the_answer(one_notes):
    asked = called(one_notes, "book", arguments={"city": "Lisbon"}, may_ask=True)["asked"]
    (field,) = asked["form"]["fields"]
    results = [
        called(one_notes, "book", arguments={"city": "Lisbon"}, may_ask=True, answer={"request": asked["request"], "answers": answers})
        for answers in ({"agrees": True}, None)
    ]

    assert (asked["form"]["message"], field["id"], field["kind"]) == ("Book a room in Lisbon?", "agrees", "boolean")
    assert [result["content"] for result in results] == ["Booked a room in Lisbon.", "No room in Lisbon: decline."]


def test_a_form_that_cannot_be_shown_is_declined(one_notes):
    answer = called(one_notes, "unlock", may_ask=True)

    assert answer["content"].startswith("Locked: decline.")
    assert "- What is your password?]" in answer["content"]


def test_a_result_repeats_a_few_questions_of_limited_length():
    questions = _DeclinedQuestions()
    for _ in range(9):
        asyncio.run(questions.decline(None, ElicitRequestFormParams(message="x" * 9_000, requested_schema={})))

    assert len(questions.append_to("")) < 5 * 520 + 200


@pytest.mark.parametrize("region", ["eu-west", "Île-de-France", "two\r\nlines"])
def test_an_argument_is_repeated_in_the_header_that_its_schema_names(one_notes, region):
    (tool,) = [tool for tool in listed(one_notes)["tools"] if tool["name"] == "opened_for"]
    sent = called(one_notes, "opened_for", arguments={"region": region}, parameters=tool["parameters"])["content"]

    assert decode_header_value(sent) == region


def test_a_slow_tool_times_out(notes):
    began_s = time.monotonic()
    answer = called(notes, "sleep", arguments={"seconds": 5.0}, timeout_s=1.0)

    assert answer == {"error": "The server did not respond in time."}
    assert time.monotonic() - began_s < 4


@pytest.mark.parametrize("error", [httpx2.ConnectTimeout, httpx2.ReadTimeout])
def test_a_timeout_of_the_http_client_is_reported_as_one(error):
    assert _reason(ExceptionGroup("the client's tasks", [error("")])) == "The server did not respond in time."


def test_a_session_is_ended_after_the_call():
    server = OlderRevision(make_notes_server().streamable_http_app())
    with running_app(server) as url:
        assert called(url, "add", arguments={"first": 2, "second": 3}) == {"ok": True, "content": "5"}

    assert server.ended_sessions == 1


def test_a_server_that_does_not_answer_the_end_of_a_session_costs_no_result():
    server = OlderRevision(make_notes_server().streamable_http_app(), answers_ends=False)
    with running_app(server) as url:
        answers = [
            called(url, "add", arguments={"first": 2, "second": 3}, timeout_s=3.0),
            called(url, "sleep", arguments={"seconds": 5.0}, timeout_s=1.5),
        ]

    assert answers == [{"ok": True, "content": "5"}, {"error": "The server did not respond in time."}]
    assert server.ended_sessions == 2


def test_the_check_of_the_arguments_and_the_call_share_their_time(one_notes, monkeypatch):
    passed_s = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed_s[0])
    monkeypatch.setattr(mcp_client, "time", clock)
    monkeypatch.setattr(mcp_client, "argument_errors", lambda *_: passed_s.append(passed_s.pop() + 8.0))

    assert called(one_notes, "sleep", arguments={"seconds": 5.0}, timeout_s=10.0) == {"error": "The server did not respond in time."}


def test_an_unreachable_server_is_an_error():
    assert listed("http://127.0.0.1:9/mcp") == {"error": "The server could not be reached."}


def test_a_silent_server_times_out():
    with running_scripted_server(lambda handler: time.sleep(1.5)) as url:
        assert listed(url, timeout_s=0.6) == {"error": "The server did not respond in time."}


@pytest.mark.parametrize("body", [b"hello", b"{}", b"[]", b'{"jsonrpc": "2.0", "id": 1, "result": {"tools": 7}}', b"\xff" * 100])
def test_an_invalid_response_is_an_error(body):
    def script(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with running_scripted_server(script) as url:
        assert set(listed(url, timeout_s=2.0)) == {"error"}


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_an_error_status_is_an_error(status):
    def script(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with running_scripted_server(script) as url:
        assert set(listed(url, timeout_s=3.0)) == {"error"}


def test_a_response_that_is_too_large_is_refused(one_notes):
    assert called(one_notes, "long") == {"error": "The response is larger than 5 MB."}


def test_a_compressed_response_is_refused():
    def script(handler):
        packed = gzip.compress(b"0" * 10_000)
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(packed)))
        handler.end_headers()
        handler.wfile.write(packed)

    with running_scripted_server(script) as url:
        assert listed(url, timeout_s=3.0) == {"error": "The response is compressed although this was not requested."}


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
def test_an_internal_server_is_not_reached(host):
    requests = []
    with running_scripted_server(lambda handler: requests.append(handler.path)) as url:
        inside = f"http://{host}:{urlsplit(url).port}/mcp"
        answer = list_tools(make_request("mcp_list", inside, timeout_s=3.0), egress_filter=EgressFilter([]))

    assert (set(answer), requests) == ({"error"}, [])


def test_a_redirect_to_an_internal_address_is_not_followed():
    requests = []

    def lead_inside(handler):
        handler.send_response(307)
        handler.send_header("Location", canary)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with running_scripted_server(lambda handler: requests.append(handler.path)) as canary, running_scripted_server(lead_inside) as url:
        answer = listed(url, timeout_s=3.0)

    assert (set(answer), requests) == ({"error"}, [])


def test_arguments_that_do_not_match_the_schema_are_not_sent_to_the_server(notes):
    schema = {"type": "object", "properties": {"first": {"type": "integer"}}}

    assert called(notes, "add", arguments={"first": "x"}, parameters=schema) == {
        "argument_errors": [{"path": ("first",), "msg": "'x' is not of type 'integer'"}]
    }


def test_a_check_of_arguments_that_takes_too_long_ends_the_process():
    doubled = {f"d{number}": {"allOf": [{"$ref": f"#/$defs/d{number + 1}"}] * 2} for number in range(40)} | {"d40": {}}
    request = {
        "op": "mcp_call",
        "server": {"url": "http://127.0.0.1:9/"},
        "name": "x",
        "parameters": {"allOf": [{"$ref": "#/$defs/d0"}], "$defs": doubled},
        "arguments": {},
        "timeout_s": 1,
    }
    code = f"""
from functions.toolrunner import mcp_client
from functions.toolrunner.mcp_client import call_tool
from functions.toolrunner.requests import parse_request
call_tool(parse_request({request!r}), egress_filter=None)
"""
    started_s = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode != 0
    assert "Timeout" in done.stderr
    assert time.monotonic() - started_s < 20
