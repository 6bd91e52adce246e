"""The input of a request: messages of all roles, images, and the items that Codex sends. By the official SDK."""

import openai
import pytest

from tests.fakes.vendor import streams
from tests.support.images import PNG_DATA_URL

ASK = {"model": "compatible"}


def sent_by(sdk, vendor, items, **fields):
    """Send the items, and return the messages that the vendor received."""
    vendor.script = streams("Hello")
    sdk.responses.create(**ASK, input=items, **fields)
    return vendor.last_body["messages"]


def test_instructions_and_the_first_system_messages_are_one_prompt(sdk, vendor):
    said = {"developer": "In French.", "user": "hello", "system": "Now English."}
    items = [{"role": role, "content": text} for role, text in said.items()]
    messages = sent_by(sdk, vendor, items, instructions="Be brief.")

    assert [(message["role"], message["content"]) for message in messages] == [
        ("system", "Be brief.\n\nIn French."),
        ("user", "hello"),
        ("system", "Now English."),
    ]


def test_a_system_message_alone_is_the_question(sdk, vendor):
    assert sent_by(sdk, vendor, [{"role": "system", "content": "hello"}]) == [{"role": "user", "content": "hello"}]


def test_an_image_keeps_its_detail(sdk, vendor):
    content = [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": PNG_DATA_URL, "detail": "low"}]
    (message,) = sent_by(sdk, vendor, [{"role": "user", "content": content}])

    assert message["content"][1] == {"type": "image_url", "image_url": {"url": PNG_DATA_URL, "detail": "low"}}


@pytest.mark.parametrize(
    ("role", "part", "param"),
    [
        ("user", {"type": "input_image", "image_url": "https://example.com/cat.png"}, "input[0].content[0].image_url"),
        ("assistant", {"type": "input_image", "image_url": "data:"}, "input[0].content[0]"),
        ("user", {"type": "input_image", "file_id": "f"}, "input[0].content[0].image_url"),
        ("user", {"type": "input_file", "file_id": "f"}, "input[0].content[0]"),
    ],
)
def test_parts_that_cannot_be_read_are_refused(sdk, vendor, role, part, param):
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.responses.create(**ASK, input=[{"role": role, "content": [part]}])

    assert (refused.value.param, vendor.requests) == (param, [])


def test_an_input_without_a_message_is_refused(sdk):
    with pytest.raises(openai.BadRequestError, match="the input must contain a message"):
        sdk.responses.create(**ASK, input=[{"type": "web_search_call", "id": "ws", "status": "completed"}])


CODEX = {
    "instructions": "You are Codex.",
    "tools": [
        {"type": "function", "name": "exec_command", "strict": False, "parameters": {"type": "object", "properties": {}}},
        {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
        {"type": "namespace", "name": "mcp__parley", "description": "", "tools": [{"type": "function", "name": "calculator"}]},
        {"type": "web_search", "external_web_access": False},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "01996f6a-0000-7000-8000-000000000001",
    "text": {"verbosity": "low"},
    "extra_body": {"client_metadata": {"originator": "codex_cli_rs"}},
}
CODEX_INPUT = [
    {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Sandboxed."}]},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "List the files."}]},
    {"type": "reasoning", "summary": [], "content": None, "encrypted_content": "gAAAAABo"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}], "phase": "commentary"},
    {"type": "function_call", "name": "exec_command", "arguments": '{"cmd": "ls"}', "call_id": "c1"},
    {"type": "function_call_output", "call_id": "c1", "output": "a.py"},
    {"type": "custom_tool_call", "status": "completed", "call_id": "c2", "name": "apply_patch", "input": "*** Begin Patch"},
    {"type": "custom_tool_call_output", "call_id": "c2", "output": "Done."},
    {"type": "function_call", "name": "calculator", "namespace": "mcp__parley", "arguments": "{}", "call_id": "c3"},
    {"type": "function_call_output", "call_id": "c3", "output": [{"type": "input_text", "text": "2"}]},
]


def test_a_request_of_codex_is_answered_with_its_whole_history(sdk, vendor):
    messages = sent_by(sdk, vendor, CODEX_INPUT, **CODEX)

    assert [message["role"] for message in messages] == ["system", "user", *["assistant", "tool"] * 3]
    assert [message["content"] for message in messages if message["role"] == "tool"] == ["a.py", "Done.", "2"]
    assert len(vendor.last_body["tools"]) == 3
