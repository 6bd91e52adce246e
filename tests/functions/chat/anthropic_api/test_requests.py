"""The fields of a request: honoured, passed over, or refused by name."""

import pytest

from tests.fakes.vendor import sends
from tests.fakes.wire_formats import anthropic
from tests.functions.chat.anthropic_api.test_messages import ASK, BODY, HELLO
from tests.functions.chat.anthropic_api.test_tools import ADD, call_of, result, with_result
from tests.support.images import PNG_DATA_URL

SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}
REMOTE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
SEEN = {"type": "image", "source": {"type": "url", "url": PNG_DATA_URL}}


def user(*blocks):
    return [{"role": "user", "content": list(blocks)}]


def assistant(*blocks):
    return [*HELLO, {"role": "assistant", "content": list(blocks)}]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "owner", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": user(PDF)}, "messages.0.content.0.source"),
        ({"messages": user(REMOTE)}, "messages.0.content.0.source"),
        ({"messages": user(call_of())}, "messages.0.content.0"),
        ({"messages": assistant(SEEN)}, "messages.1.content.0"),
        ({"messages": user({"type": "container_upload", "file_id": "f"})}, "messages.0.content.0"),
        ({"messages": user(result("2"))}, "messages.0.content.0.tool_use_id"),
        ({"messages": assistant(call_of())}, "messages"),
        ({"messages": with_result(call_of(), {"type": "text", "text": "so?"})}, "messages.2"),
        ({"messages": [{"role": "system", "content": [SEEN]}]}, "messages.0.content.0"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 1.5}, "temperature"),
        ({"tools": [SEARCH]}, "tools.0.type"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [ADD], "tool_choice": {"type": "tool", "name": "other"}}, "tool_choice.name"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "thinking.budget_tokens"),
        ({"container": "c1"}, "container"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"mcp_servers": [{"type": "url", "url": "https://example.com", "name": "x"}]}, "mcp_servers"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_field_that_cannot_be_had_is_refused_by_name(chat, alice, fields, place):
    answer = chat.post("/v1/messages", BODY | fields, as_=alice)

    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
    assert answer.json["error"]["message"].startswith(f"{place}: ")


@pytest.mark.parametrize(
    "fields",
    [
        *({"metadata": {"user_id": "me"}}, {"service_tier": "auto"}, {"temperature": 1}, {"top_p": 1}, {"top_k": 0}, {"stream": False}),
        *({"cache_control": {"type": "ephemeral"}}, {"mcp_servers": []}, {"speed": "standard"}, {"max_tokens": 100.0}),
        *({"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}}, {"diagnostics": {}}),
        *({"thinking": {"type": "adaptive"}}, {"output_config": {"effort": "high"}}, {"tools": []}, {"system": []}),
    ],
)
def test_a_field_that_leaves_the_answer_as_it_is_is_passed_over(chat, alice, fields):
    assert chat.post("/v1/messages", BODY | fields, as_=alice).status == 200


def test_options_reach_a_vendor_that_has_them(sdk, vendor):
    vendor.script = sends(anthropic.texts("ok"))
    sdk.messages.create(**ASK | {"model": "anthropic"}, extra_body={"temperature": 0.5, "top_p": 0.9, "top_k": 40})

    assert [vendor.last_body[name] for name in ("temperature", "top_p", "top_k", "max_tokens")] == [0.5, 0.9, 40, 100]


@pytest.mark.parametrize("marked", ["block", "request", "nothing"])
def test_a_wish_to_cache_the_messages_reaches_anthropic(sdk, vendor, marked):
    vendor.script = sends(anthropic.texts("ok"))
    mark = {"cache_control": {"type": "ephemeral"}}
    messages = user({"type": "text", "text": "hello"} | (mark if marked == "block" else {}))
    sdk.messages.create(**ASK | {"model": "anthropic", "messages": messages}, extra_body=mark if marked == "request" else {})

    assert vendor.last_body.get("cache_control") == (None if marked == "nothing" else {"type": "ephemeral"})


@pytest.mark.parametrize("field", ["output_config", "output_format"])
def test_a_schema_for_the_answer_reaches_the_vendor(sdk, vendor, field):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
    wanted = {"type": "json_schema", "schema": schema}
    sdk.messages.create(**ASK, extra_body={field: {"format": wanted} if field == "output_config" else wanted})

    assert vendor.last_body["response_format"]["json_schema"]["schema"] == schema


def test_a_later_system_message_keeps_its_place(sdk, vendor):
    sdk.messages.create(**ASK | {"messages": [*HELLO, {"role": "system", "content": "be brief"}, *HELLO]})

    assert [message["role"] for message in vendor.last_body["messages"]] == ["user", "system", "user"]


def test_images_reach_the_vendor(sdk, vendor):
    data = {"type": "base64", "media_type": "image/png", "data": PNG_DATA_URL.partition(",")[2]}
    sdk.messages.create(**ASK | {"messages": user({"type": "image", "source": data}, SEEN)})

    assert [part["image_url"]["url"] for part in vendor.last_body["messages"][0]["content"]] == [PNG_DATA_URL] * 2


def test_text_that_cannot_be_stored_is_replaced(chat, vendor, alice):
    answer = chat.post("/v1/messages", ASK | {"messages": [{"role": "user", "content": "a\0b\ud800c"}]}, as_=alice)

    assert (answer.status, vendor.last_body["messages"][0]["content"]) == (200, "a\ufffdb\ufffdc")
