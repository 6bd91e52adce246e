"""Tool calls as vendors send them: assembled from pieces, and under names that vendors accept.

`server.tool` is sent under another name and comes back as itself.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256

from parley.llm.errors import ProviderFailed
from parley.llm.messages import Message, ModelEvent, ModelRequest, ToolCall


@dataclass(slots=True)
class _PartialToolCall:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class ToolCallAssembler:
    """Gathers calls by the vendor's index until the answer has ended."""

    def __init__(self) -> None:
        self._by_index: dict[int, _PartialToolCall] = {}

    def __bool__(self) -> bool:
        return bool(self._by_index)

    def add(self, index: int, *, id: str | None = None, name: str | None = None, arguments: str | None = None) -> None:
        """Note a piece; id and name come once, arguments in any number of pieces."""
        call = self._by_index.setdefault(index, _PartialToolCall())
        call.id, call.name = id or call.id, name or call.name
        if arguments:
            call.arguments.append(arguments)

    def whole(self, provider: str) -> list[ToolCall]:
        """Return the calls in order. Raises ProviderFailed if one is not whole."""
        return [
            ToolCall(call.id or f"call_{index}", call.name, checked_arguments(provider, "".join(call.arguments)))
            for index, call in sorted(self._by_index.items())
            if call.name or call.arguments
        ]


def checked_arguments(provider: str, text: str) -> str:
    """Return the text of a JSON object; none at all means an empty one. Raises ProviderFailed for anything else."""
    try:
        if isinstance(json.loads(text or "{}"), dict):
            return text or "{}"
    except ValueError:
        pass
    raise ProviderFailed(provider, "a tool call whose arguments are no JSON object")


# The narrowest of OpenAI's, Anthropic's, Mistral's and Bedrock's rules.
_ACCEPTED_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_UNACCEPTED_LETTER = re.compile(r"[^A-Za-z0-9_-]")
_DIGEST_LETTERS = 8


def vendor_name(name: str) -> str:
    """Return the name if vendors take it, else one like it that stands for no other name.

    It depends on the name alone: the same tool is called the same in every request, as prompt caches need.
    """
    if _ACCEPTED_NAME.fullmatch(name):
        return name
    digest = sha256(name.encode()).hexdigest()[:_DIGEST_LETTERS]
    return f"{_UNACCEPTED_LETTER.sub('_', name)[: 63 - _DIGEST_LETTERS]}_{digest}"


def with_vendor_names(request: ModelRequest) -> ModelRequest:
    """Return the request with the names that vendors take: of its tools, and of the calls of earlier rounds."""
    tools = [replace(tool, name=vendor_name(tool.name)) for tool in request.tools]
    return replace(request, tools=tools, messages=[_renamed_message(message) for message in request.messages])


def with_own_names(events: Iterable[ModelEvent], request: ModelRequest) -> Iterator[ModelEvent]:
    """Pass on events with the names of the request's own tools in calls; a name that is none of theirs stays as it is."""
    own = {vendor_name(tool.name): tool.name for tool in request.tools}
    for event in events:
        yield replace(event, name=own.get(event.name, event.name)) if isinstance(event, ToolCall) else event


def _renamed_message(message: Message) -> Message:
    if isinstance(message.content, str):
        return message
    parts = [replace(part, name=vendor_name(part.name)) if isinstance(part, ToolCall) else part for part in message.parts]
    return replace(message, content=parts)
