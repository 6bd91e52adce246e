"""The bounds of the requests that the tool runner accepts, and what is not written about them."""

import pytest
from pydantic import ValidationError

from functions.toolrunner.requests import parse_request
from parley.ids import new_id
from parley.tools.spec import MAX_TIMEOUT_S

SERVER = {"url": "https://mcp.example/mcp", "headers": {"Authorization": "very-secret"}}
REQUESTS = {
    "run": {"name": "echo", "arguments": {}, "user_id": str(new_id())},
    "mcp_list": {"server": SERVER},
    "mcp_call": {"server": SERVER, "name": "echo", "arguments": {}},
    "fetch_json": {"url": "https://site.example/app.json"},
    "search_web": {"engine": "tavily", "key": "very-secret", "query": "trams"},
    "post_event": {"url": "https://hook.example/very-secret", "headers": {"Signature": "very-secret"}, "body": '{"note": "very-secret"}'},
}


def make_request(op, **fields):
    return parse_request({"op": op, "timeout_s": 5} | REQUESTS[op] | fields)


@pytest.mark.parametrize("op", REQUESTS)
def test_a_request_may_take_any_time_up_to_the_longest(op):
    assert [make_request(op, timeout_s=timeout_s).timeout_s for timeout_s in (0.1, MAX_TIMEOUT_S)] == [0.1, MAX_TIMEOUT_S]


@pytest.mark.parametrize("timeout_s", [0, MAX_TIMEOUT_S + 0.1])
@pytest.mark.parametrize("op", REQUESTS)
def test_a_request_without_time_or_with_too_much_is_refused(op, timeout_s):
    with pytest.raises(ValidationError, match="timeout_s"):
        make_request(op, timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("op", "field", "limit"),
    [
        ("fetch_json", "url", 500),
        ("search_web", "url", 500),
        ("search_web", "key", 500),
        ("search_web", "query", 1_000),
        ("post_event", "url", 2_000),
        ("post_event", "body", 100_000),
    ],
)
def test_a_text_of_a_request_has_a_longest_form(op, field, limit):
    assert len(getattr(make_request(op, **{field: "x" * limit}), field)) == limit
    with pytest.raises(ValidationError, match=field):
        make_request(op, **{field: "x" * (limit + 1)})


def test_a_search_needs_one_letter():
    assert make_request("search_web", query="x").query == "x"
    with pytest.raises(ValidationError, match="query"):
        make_request("search_web", query="")


@pytest.mark.parametrize("op", ["mcp_list", "mcp_call", "search_web", "post_event"])
def test_the_text_of_a_request_holds_no_secrets_and_no_event(op):
    assert "very-secret" not in repr(make_request(op))


def test_a_refusal_does_not_repeat_the_request():
    with pytest.raises(ValidationError) as refused:
        make_request("run", arguments="very-secret")

    assert "very-secret" not in str(refused.value)


def test_a_call_of_a_server_does_not_ask_its_user_unless_it_may():
    assert make_request("mcp_call").may_ask is False
