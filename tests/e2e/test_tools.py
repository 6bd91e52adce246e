"""Tools through the whole stack: in turns, approved after a restart, and as the official MCP client sees them, by an API key."""

import asyncio
import time
from contextlib import closing

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from parley.tools.invoker import LOCAL_FRESH_S
from tests.cli.terminal import Terminal
from tests.e2e.test_turns import events_of, text_of
from tests.fakes.vendor import USAGE, says, streams
from tests.fakes.wire_formats import chat as wire
from tests.support.api_gateway import PASSWORD
from tests.support.time_limits import HANG_S, wait_until

BOTH = "What is 12.5% of 840, and the weather in Lisbon?"
CALL = {"index": 0, "id": "c1", "function": {"name": "send_letter", "arguments": '{"to": "Bob"}'}}
END = wire.chunk({}, usage=USAGE) + b"data: [DONE]\n\n"
LETTERS = """
from parley.tools.decorator import tool


@tool(requires_approval=True)
def send_letter(to: str) -> str:
    \"\"\"Send a letter.\"\"\"
    return f"The letter to {to} is on its way."
"""


def test_a_tool_is_called(ada):
    answer = ada.post("/tools/calculator/invoke", {"arguments": {"expression": "12.5% of 840"}})

    assert (answer.status_code, answer.json()["ok"], answer.json()["content"]) == (200, True, "105")


def test_arguments_that_do_not_fit_run_nothing(ada):
    answer = ada.post("/tools/calculator/invoke", {"arguments": {"expression": 7}})

    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", "arguments", "expression"])


def test_an_mcp_client_calls_a_tool_by_an_api_key(stack, ada):
    key = ada.post("/auth/api-keys", {"name": "editor", "password": PASSWORD, "scopes": ["tools"]}).json()["key"]

    async def called():
        headers = {"Authorization": f"Bearer {key}"}
        async with (
            httpx2.AsyncClient(headers=headers, trust_env=False, timeout=HANG_S) as http,
            Client(streamable_http_client(f"{stack.url}/mcp", http_client=http)) as client,
        ):
            offered = await client.list_tools()
            return [tool.name for tool in offered.tools], await client.call_tool("calculator", {"expression": "2 + 3"})

    names, found = asyncio.run(called())

    assert "calculator" in names
    assert (found.is_error, found.content[0].text) == (False, "5")


def test_the_mcp_route_wants_a_key_and_knows_no_stream(stack):
    assert [stack.http.request(method, "/mcp").status_code for method in ("POST", "GET", "DELETE")] == [401, 405, 405]


def asked(ada, message):
    with ada.stream({"message": message, "model": "offline"}) as response:
        return list(events_of(response))


def of(events, name):
    return {data["name"]: data for _, event, data in events if event == name}


def test_a_question_for_two_tools_is_answered_by_both(ada):
    events = asked(ada, BOTH)
    results = of(events, "tool.result")

    assert of(events, "tool.call").keys() == results.keys() == {"calculator", "weather"}
    assert (results["calculator"]["content"], results["weather"]["ok"]) == ("105", True)
    assert "says: 105" in text_of(events)
    assert "Lisbon, Portugal, 2026-11-22T19:30: light rain, 17.4 °C" in text_of(events)
    assert events[-1][1] == "turn.completed"


def test_the_weather_without_a_network_is_a_result_that_says_so(ada, open_meteo):
    open_meteo.is_down = True
    events = asked(ada, BOTH)
    open_meteo.is_down = False
    result = of(events, "tool.result")["weather"]

    assert (result["ok"], result["content"].startswith("The weather service cannot be reached.")) == (False, True)
    assert "says: 105" in text_of(events)
    assert "failed: The weather service cannot be reached." in text_of(events)


def test_the_terminal_shows_both_calls_and_the_answer(stack, monkeypatch):
    monkeypatch.setenv("PARLEY_CONFIG_DIR", str(stack.data.parent / "config"))
    stack.parley("register", "tools@example.com", "--password-stdin", "--url", stack.url, input=PASSWORD)
    with closing(Terminal("chat", "--model", "offline", BOTH)) as person:
        assert person.end() == 0, person.shown
    lines = person.lines

    assert {line.split()[1].strip(":") for line in lines if line.startswith("→")} == {"calculator", "weather"}
    assert "← calculator: 105" in lines
    assert "The tool says: 105" in lines
    assert any(line.startswith("The tool says: Lisbon, Portugal") for line in lines)


@pytest.fixture
def letters(stack, ada):
    """A plugin, added to the running stack, with a tool that sends letters."""
    file = stack.sources / "functions" / "toolrunner" / "plugins" / "letters.py"
    file.write_text(LETTERS)
    wait_for_letters(ada)
    # The chat function caches its own list: for up to this time it may not know the tool yet.
    time.sleep(LOCAL_FRESH_S)
    yield
    file.unlink()


def wait_for_letters(ada):
    """Wait until the stack offers the plugin's tool. While workers start or reload, it may answer 503."""

    def offers_letters():
        answer = ada.get("/tools")
        return answer.status_code == 200 and "send_letter" in {tool["name"] for tool in answer.json()["items"]}

    assert wait_until(offers_letters)


def decide(ada, turn_id, *, approve):
    """Decide on the pending call and return the events of the resumed turn. A 503 stores nothing and is repeated."""

    def events_if_served():
        with ada.stream({"call_id": "c1", "approve": approve}, f"/chat/turns/{turn_id}/approvals") as response:
            return None if response.status_code == 503 else list(events_of(response))

    return wait_until(events_if_served)


def waiting(ada, vendor):
    """Return the events of a turn that waits for the approval of a letter."""
    vendor.script = says(wire.chunk({"tool_calls": [CALL]}) + wire.chunk({}, finish="tool_calls") + END)
    with ada.stream({"message": "Write to Bob"}) as response:
        events = list(events_of(response))
    assert [name for _, name, _ in events] == ["turn.started", "tool.call", "tool.approval", "turn.waiting"]
    return events


@pytest.mark.usefixtures("letters")
def test_turns_that_wait_go_on_after_a_restart(stack, ada, vendor):
    """One turn is approved and one denied after a single restart, because a restart is slow."""
    turns = [(waiting(ada, vendor), is_approved) for is_approved in (True, False)]
    stack.kill()
    stack.start()
    wait_for_letters(ada)
    vendor.script = streams("That ", "is all.")
    for before, is_approved in turns:
        turn_id = before[0][2]["turn_id"]
        rest = decide(ada, turn_id, approve=is_approved)
        with stack.http.stream("GET", f"/chat/turns/{turn_id}/events?after={before[-2][0]}", headers=ada.headers) as response:
            again = list(events_of(response))
        result = of(rest, "tool.result")["send_letter"]
        assert (result["ok"], result["content"] == "The letter to Bob is on its way.") == (is_approved, is_approved)
        assert (text_of(rest), rest[-1][1]) == ("That is all.", "turn.completed")
        assert rest[0][0] > before[-1][0]
        assert (again[0], again[-1], text_of(again)) == (rest[0], rest[-1], text_of(rest))
