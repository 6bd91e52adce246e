"""Translation of any conversation: the real SDKs send it, and a fake vendor reads it back."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.llm.messages import Image, Message, ModelRequest, Text, ToolCall, ToolDefinition, ToolResult
from tests.fakes.vendor import running_vendor
from tests.fakes.wire_formats.all_formats import WIRE_FORMATS

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30).filter(str.strip)
names = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | words, lambda inner: st.lists(inner, max_size=3), max_leaves=4
)
objects = st.dictionaries(names, values, max_size=3)
images = st.builds(Image, st.sampled_from(["image/png", "image/jpeg", "image/gif", "image/webp"]), st.binary(min_size=1, max_size=40))
kinds = st.sampled_from(["string", "number", "integer", "boolean"])
schemas = st.dictionaries(names, st.fixed_dictionaries({"type": kinds, "description": words}), max_size=3).map(
    lambda fields: {"type": "object", "properties": fields, "required": sorted(fields)}
)
tools = st.lists(st.builds(ToolDefinition, names, words, schemas), max_size=3, unique_by=lambda tool: tool.name)
calls = st.lists(st.builds(ToolCall, names, names, objects.map(json.dumps)), min_size=1, max_size=3, unique_by=lambda call: call.id)


@st.composite
def conversations(draw):
    """Questions, answers, and rounds of parallel tool calls."""
    messages = [Message("user", [Text(draw(words)), *draw(st.lists(images, max_size=2))])]
    for _ in range(draw(st.integers(0, 2))):
        tool_calls = draw(calls)
        messages.append(Message("assistant", [Text(draw(words)), *tool_calls]))
        messages.append(Message("tool", [ToolResult(call.id, draw(words)) for call in tool_calls]))
        messages += [Message("assistant", draw(words)), Message("user", draw(words))]
    return messages


requests = st.builds(ModelRequest, conversations(), system=words, tools=tools, max_output_tokens=st.integers(1, 4096))


def meant(request):
    """Return the conversation as plain tuples of texts, tool calls and results."""
    facts = []
    for message in request.messages:
        for part in message.parts:
            match part:
                case Text(text):
                    facts.append((message.role, text))
                case Image(media_type, data):
                    facts.append(("image", media_type, data))
                case ToolCall(id, name, written):
                    facts.append(("call", id, name, json.loads(written)))
                case ToolResult(id, text):
                    facts.append(("result", id, text))
    return facts


def image_of(url):
    head, _, data = url.partition(";base64,")
    return ("image", head.removeprefix("data:"), base64.b64decode(data))


def received_chat(body):
    for message in body["messages"][1:]:
        if message["role"] == "tool":
            yield ("result", message["tool_call_id"], message["content"])
            continue
        content = message["content"]
        for piece in [{"type": "text", "text": content}] if isinstance(content, str) else content or []:
            yield (message["role"], piece["text"]) if piece["type"] == "text" else image_of(piece["image_url"]["url"])
        for call in message.get("tool_calls", []):
            yield ("call", call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))


def received_responses(body):
    for item in body["input"]:
        match item.get("type"):
            case "function_call":
                yield ("call", item["call_id"], item["name"], json.loads(item["arguments"]))
            case "function_call_output":
                yield ("result", item["call_id"], item["output"])
            case _:
                for piece in item["content"]:
                    yield image_of(piece["image_url"]) if piece["type"] == "input_image" else (item["role"], piece["text"])


def received_anthropic(body):
    for message in body["messages"]:
        for block in message["content"]:
            match block["type"]:
                case "text":
                    yield (message["role"], block["text"])
                case "image":
                    yield ("image", block["source"]["media_type"], base64.b64decode(block["source"]["data"]))
                case "tool_use":
                    yield ("call", block["id"], block["name"], block["input"])
                case "tool_result":
                    yield ("result", block["tool_use_id"], block["content"])


def received_bedrock(body):
    for message in body["messages"]:
        for block in message["content"]:
            match block:
                case {"text": text}:
                    yield (message["role"], text)
                case {"image": image}:
                    yield ("image", f"image/{image['format']}", base64.b64decode(image["source"]["bytes"]))
                case {"toolUse": use}:
                    yield ("call", use["toolUseId"], use["name"], use["input"])
                case {"toolResult": result}:
                    yield ("result", result["toolUseId"], result["content"][0]["text"])


def tools_of(wire, body):
    """Return the tools and the system prompt as the vendor received them."""
    match wire.name:
        case "openai":
            return body["messages"][0]["content"], [tuple(tool["function"].values()) for tool in body.get("tools", [])]
        case "responses":
            return body["instructions"], [(t["name"], t["description"], t["parameters"]) for t in body.get("tools", [])]
        case "anthropic":
            return body["system"][0]["text"], [(t["name"], t["description"], t["input_schema"]) for t in body.get("tools", [])]
        case _:
            specs = [tool["toolSpec"] for tool in body.get("toolConfig", {}).get("tools", []) if "toolSpec" in tool]
            return body["system"][0]["text"], [(t["name"], t["description"], t["inputSchema"]["json"]) for t in specs]


READERS = {"openai": received_chat, "responses": received_responses, "anthropic": received_anthropic, "bedrock": received_bedrock}


@pytest.mark.parametrize("wire", [wire for wire in WIRE_FORMATS if wire.name in READERS], ids=lambda wire: wire.name)
def test_the_vendor_receives_the_whole_conversation(wire):
    with running_vendor() as vendor:
        provider = wire.provider(vendor)
        wire.plays(vendor, wire.texts("ok"))

        @settings(max_examples=40, deadline=None, derandomize=True, database=None)
        @given(requests)
        def sends_it(request):
            list(provider.stream("m", request))
            assert list(READERS[wire.name](vendor.last_body)) == meant(request)
            assert tools_of(wire, vendor.last_body) == (request.system, [(t.name, t.description, t.parameters) for t in request.tools])

        sends_it()


@pytest.mark.parametrize("wire", WIRE_FORMATS, ids=lambda wire: wire.name)
def test_facts_and_sources_precede_the_newest_question_and_leave_the_prefix_unchanged(wire, vendor):
    from parley.llm.messages import Source

    wire.plays(vendor, wire.texts("ok"))
    request = ModelRequest(
        [Message("user", "first"), Message("assistant", "yes"), Message("user", "second")],
        system="stable",
        facts=["likes tea"],
        sources=[Source(1, "Manual", "turn it off")],
    )
    list(wire.provider(vendor).stream("m", request))
    body_text = json.dumps(vendor.last_body, sort_keys=True)

    assert body_text.index("first") < body_text.index("likes tea") < body_text.index("turn it off") < body_text.index("second")
