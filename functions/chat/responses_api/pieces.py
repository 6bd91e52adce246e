"""The pieces of a response's answer: as they are logged while it runs, and as its stored output yields them again.

Events of a response follow from its pieces, with the same numbers each time, so only the pieces are stored.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter

from functions.chat.completions.completion import CompletionEvent, CompletionStream
from functions.chat.completions.opaque_content import unpack_thought
from functions.chat.responses_api.events import ResponseEvents
from functions.chat.responses_api.free_form import free_form_arguments, incomplete_arguments
from functions.chat.responses_api.response_schemas import RequestEchoOut
from functions.chat.responses_api.schemas import ResponseToolIn
from functions.chat.responses_api.tools import free_form_names, qualified_name
from parley.db.responses_api.responses import Item, Piece
from parley.llm.messages import ReasoningDelta, TextDelta, Thought, ToolCall, ToolCallDelta

_TOOLS: TypeAdapter[list[ResponseToolIn]] = TypeAdapter(list[ResponseToolIn])


def to_piece(event: CompletionEvent) -> Piece | None:
    """Return an event of an answer as JSON. A ping and the end have no piece."""
    match event:
        case TextDelta(text, is_refusal):
            return ["refusal" if is_refusal else "text", text]
        case ReasoningDelta(text):
            return ["reasoning", text]
        case Thought(origin, payload):
            return ["thought", origin, payload]
        case ToolCallDelta(index, id, name, arguments):
            return ["arguments", index, id, name, arguments]
        case ToolCall(id, name, arguments):
            return ["call", id, name, arguments]
    return None


def from_piece(piece: Piece) -> CompletionEvent:
    """Return the event of a piece."""
    match piece:
        case ["text" | "refusal" as kind, text]:
            return TextDelta(text, is_refusal=kind == "refusal")
        case ["reasoning", text]:
            return ReasoningDelta(text)
        case ["thought", origin, payload]:
            return Thought(origin, payload)
        case ["arguments", index, id, name, arguments]:
            return ToolCallDelta(index, id, name, arguments)
        case ["call", id, name, arguments]:
            return ToolCall(id, name, arguments)
    raise ValueError(f"not a piece: {piece[0]!r}")


def output_events(output: Iterable[Item]) -> Iterator[CompletionEvent]:
    """Yield the events of an answer whose pieces are not logged, from its output items."""
    for index, item in enumerate(output):
        match item:
            case {"type": "message", "content": content}:
                for part in content:
                    is_refusal = part["type"] == "refusal"
                    yield TextDelta(part["refusal" if is_refusal else "text"], is_refusal=is_refusal)
            case {"type": "reasoning", "summary": summary}:
                yield from (ReasoningDelta(part["text"]) for part in summary)
                yield from _thoughts(item.get("encrypted_content"))
            case {"type": "function_call", "status": "incomplete", "call_id": id, "name": name, "arguments": arguments}:
                yield ToolCallDelta(index, id, qualified_name(name, item.get("namespace")), arguments)
            case {"type": "custom_tool_call", "status": "incomplete", "call_id": id, "name": name, "input": text}:
                yield ToolCallDelta(index, id, qualified_name(name, item.get("namespace")), incomplete_arguments(text))
            case {"type": "function_call" | "custom_tool_call" as kind, "call_id": id, "name": name}:
                own = qualified_name(name, item.get("namespace"))
                yield ToolCall(id, own, item["arguments"] if kind == "function_call" else free_form_arguments(item["input"]))


def _thoughts(sealed: str | None) -> Iterator[Thought]:
    if sealed and (thought := unpack_thought(sealed)):
        yield thought


def events_of_document(document: Mapping[str, Any]) -> ResponseEvents:
    """Return the events of a stored response, before its first event."""
    model = str(document["model"])
    head = CompletionStream(_no_events(), lambda: model, id=document["id"], created=document["created_at"])
    echo = RequestEchoOut.model_validate({name: document[name] for name in RequestEchoOut.model_fields if name in document})
    return ResponseEvents(head, echo, free_form=frozenset(free_form_names(_TOOLS.validate_python(document["tools"]))))


def _no_events() -> Generator[CompletionEvent]:
    yield from ()
