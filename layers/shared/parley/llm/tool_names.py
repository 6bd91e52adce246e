"""Tools' names in the letters that vendors take: `server.tool` goes there as another name and comes back as itself."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import sha256

from parley.llm.types import Event, Message, Request, ToolCall

# The narrowest of OpenAI's, Anthropic's, Mistral's and Bedrock's rules.
_TAKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_OTHER = re.compile(r"[^A-Za-z0-9_-]")
_DIGEST_LETTERS = 8


def vendor_name(name: str) -> str:
    """Return the name if vendors take it, else one like it that stands for no other name.

    It depends on the name alone: the same tool is called the same in every request, as prompt caches need.
    """
    if _TAKEN.fullmatch(name):
        return name
    digest = sha256(name.encode()).hexdigest()[:_DIGEST_LETTERS]
    return f"{_OTHER.sub('_', name)[: 63 - _DIGEST_LETTERS]}_{digest}"


def for_vendor(request: Request) -> Request:
    """Return the request with the names that vendors take: of its tools, and of the calls of earlier rounds."""
    tools = [replace(tool, name=vendor_name(tool.name)) for tool in request.tools]
    return replace(request, tools=tools, messages=[_renamed(message) for message in request.messages])


def from_vendor(events: Iterable[Event], request: Request) -> Iterator[Event]:
    """Pass on events with the names of the request's own tools in calls; a name that is none of theirs stays as it is."""
    own = {vendor_name(tool.name): tool.name for tool in request.tools}
    for event in events:
        yield replace(event, name=own.get(event.name, event.name)) if isinstance(event, ToolCall) else event


def _renamed(message: Message) -> Message:
    if isinstance(message.content, str):
        return message
    parts = [replace(part, name=vendor_name(part.name)) if isinstance(part, ToolCall) else part for part in message.parts]
    return replace(message, content=parts)
