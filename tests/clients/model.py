"""The model of the fake vendor in `make clients`. Clients run in other processes, so its answers depend on the request alone.

- A question that names an offered tool and goes on with a JSON object gets a call of that tool with that object as arguments.
- A required call gets sample arguments, and a request with a schema gets a sample value: "Ada" for texts, 36 for numbers.
- A tool's result gets "The tool returned: …", and any other question "You said: …".
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.fakes.vendor import USAGE, chunk, sends

type Json = Mapping[str, Any]


def answer(handler: BaseHTTPRequestHandler) -> None:
    """Stream the answer to the request in OpenAI's format. This is a script of the fake vendor."""
    sends(list(chunks(handler.request_body)))(handler)  # type: ignore[attr-defined]


def chunks(body: Json) -> Iterator[bytes]:
    """Yield the events of the answer."""
    if call := _call(body):
        yield from _call_chunks(*call)
    else:
        yield from (chunk(piece) for piece in _pieces(_text(body)))
    yield chunk(finish="tool_calls" if call else "stop")
    yield chunk(usage=USAGE)
    yield b"data: [DONE]\n\n"


def sample(schema: Json, root: Json | None = None) -> Any:
    """Return a value that fits a simple JSON schema."""
    root = schema if root is None else root
    if reference := schema.get("$ref"):
        return sample(_resolve(reference, root), root)
    for name in ("anyOf", "oneOf", "allOf"):
        if schema.get(name):
            return sample(schema[name][0], root)
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else schema["enum"][0]
    kinds = schema.get("type", "object")
    match kinds if isinstance(kinds, str) else kinds[0]:
        case "object":
            return {name: sample(property, root) for name, property in schema.get("properties", {}).items()}
        case "array":
            return [sample(schema.get("items", {"type": "string"}), root)]
        case "integer" | "number":
            return 36
        case "boolean":
            return True
        case "string":
            return "Ada"
    return None


def _resolve(reference: str, root: Json) -> Json:
    found = root
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def _call(body: Json) -> tuple[str, str] | None:
    """Return the name and arguments of the tool to call, if the answer is a call."""
    tools = {tool["function"]["name"]: tool["function"] for tool in body.get("tools") or ()}
    if not tools or body["messages"][-1]["role"] == "tool":
        return None
    question = _question(body["messages"])
    for name in tools:
        if arguments := _object_after(f"{name} {{", question):
            return name, json.dumps(arguments)
    if body.get("tool_choice") != "required":
        return None
    name = next(iter(tools))
    return name, json.dumps(sample(tools[name].get("parameters") or {}))


def _object_after(start: str, text: str) -> Json | None:
    """Return the JSON object that begins with the last character of `start`, if the text has it."""
    position = text.find(start)
    return None if position < 0 else json.JSONDecoder().raw_decode(text, position + len(start) - 1)[0]


def _text(body: Json) -> str:
    last = body["messages"][-1]
    if last["role"] == "tool":
        return f"The tool returned: {_content(last)}"
    if schema := body.get("response_format", {}).get("json_schema"):
        return json.dumps(sample(schema["schema"]))
    return f"You said: {_question(body['messages'])}"


def _question(messages: Sequence[Json]) -> str:
    return next((_content(message) for message in reversed(messages) if message["role"] == "user"), "")


def _content(message: Json) -> str:
    content = message["content"] or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _pieces(text: str) -> list[str]:
    words = text.split(" ")
    return [*(f"{word} " for word in words[:-1]), words[-1]]


def _call_chunks(name: str, arguments: str) -> Iterator[bytes]:
    half = len(arguments) // 2
    yield _delta({"id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}})
    for part in (arguments[:half], arguments[half:]):
        yield _delta({"function": {"arguments": part}})


def _delta(call: Json) -> bytes:
    choice = {"index": 0, "delta": {"tool_calls": [{"index": 0, **call}]}, "finish_reason": None}
    return b"data: " + json.dumps({"object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n"
