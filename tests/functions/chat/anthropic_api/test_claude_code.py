"""Requests with everything that Claude Code sends, in its form, to a model of each kind."""

import pytest

from tests.functions.chat.anthropic_api.test_messages import answer_as

CACHED = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
BASH = {
    "name": "Bash",
    "description": "Executes a command.",
    "input_schema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"command": {"type": "string"}, "timeout": {"type": "number"}},
        "required": ["command"],
        "additionalProperties": False,
    },
    "eager_input_streaming": True,
}
CALL = {"type": "tool_use", "id": "toolu_01", "name": "Bash", "input": {"command": "ls"}, "caller": {"type": "direct"}}
MESSAGES = [
    {
        "role": "user",
        "content": [{"type": "text", "text": "<system-reminder>Be brief.</system-reminder>"}, {"type": "text", "text": "list"}],
    },
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "I should look.", "signature": "EqQBCkYIARgC"},
            {"type": "text", "text": "Sure."},
            CALL,
        ],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01", "content": "a.txt", "is_error": False} | CACHED]},
]
BODY = {
    "max_tokens": 32000,
    "messages": MESSAGES,
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1"},
        {"type": "text", "text": "You are Claude Code.", **CACHED},
    ],
    "tools": [BASH],
    "metadata": {"user_id": '{"device_id":"d","account_uuid":"","session_id":"s"}'},
    "thinking": {"type": "enabled", "budget_tokens": 31999},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "output_config": {"effort": "medium"},
    "stream": True,
}
HEADERS = {
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14",
    "anthropic-dangerous-direct-browser-access": "true",
    "x-app": "cli",
}


@pytest.mark.parametrize("model", ["compatible", "openai", "mistral", "responses", "claude-sonnet-4"])
def test_a_step_of_its_tool_loop_is_answered(chat, vendor, alice, model):
    answer_as(vendor, model, "One file.")
    answer = chat.post("/v1/messages?beta=true", BODY | {"model": model}, as_=alice, headers=HEADERS)

    assert (answer.status, answer.events[-1][0]) == (200, "message_stop")
    assert "One file." in [event.get("delta", {}).get("text") for _, event in answer.events]


def test_anthropics_model_gets_its_request_within_the_catalogues_limits(chat, vendor, alice):
    answer_as(vendor, "claude-sonnet-4", "One file.")
    chat.post("/v1/messages?beta=true", BODY | {"model": "claude-sonnet-4"}, as_=alice, headers=HEADERS)
    sent = vendor.last_body

    assert (sent["max_tokens"], sent["thinking"]["budget_tokens"], sent["cache_control"]) == (4096, 4095, {"type": "ephemeral"})
    assert sent["tools"][0]["input_schema"] == BASH["input_schema"]
    assert sent["system"][0]["text"].endswith("\n\nYou are Claude Code.")


def test_it_counts_the_tokens_of_its_prompt(chat, alice):
    names = ("messages", "system", "tools", "thinking")
    answer = chat.post("/v1/messages/count_tokens?beta=true", {name: BODY[name] for name in names} | {"model": "offline"}, as_=alice)

    assert (answer.status, answer.json["input_tokens"] > 50) == (200, True)
