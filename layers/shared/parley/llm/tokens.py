"""How many tokens something takes: by a guess that is quick, a count that is near, and a bound that is certain.

Only a provider knows what it bills. Where it does not say, `estimate_usage` counts by OpenAI's `o200k_base`, whose tables
ship inside the wheel of `toktok-rs`: exact for texts of OpenAI's models since GPT-4o, an approximation for all
others. Loading it takes 0.2 to 0.7 s and 65 MB once, so that waits for the first answer that breaks off.
"""

import json
import threading
from collections.abc import Iterator
from functools import cache

from parley.llm.messages import Image, ModelRequest, Text, Thought, ToolCall, ToolResult, Usage
from parley.llm.prompts import SOURCES_HEADING, quoted_source

BYTES_PER_TOKEN = 3  # English takes about 4, code and other scripts less; a low figure keeps the guess high
ENCODING = "o200k_base"
# What vendors put around things: role and separators of a message, a tool's declaration, the beginning of the answer.
PER_MESSAGE, PER_TOOL, PER_REQUEST, PER_IMAGE = 4, 12, 3, 1000
# The same at most: Anthropic's prompt for tools takes some 700 tokens, its largest images some 5,000.
MAX_PER_MESSAGE, MAX_PER_TOOL, MAX_PER_REQUEST, MAX_PER_IMAGE = 16, 64, 1000, 5000


def estimate_tokens(text: str) -> int:
    """Return a generous guess of what one message with this text takes."""
    return len(text.encode(errors="surrogatepass")) // BYTES_PER_TOKEN + 1 + PER_MESSAGE


@cache
def warm_up() -> None:
    """Load the tokenizer beside whatever runs, once."""
    threading.Thread(target=count_tokens, args=("",), daemon=True).start()


def count_tokens(*texts: str) -> int:
    """Count the tokens of texts, each by itself."""
    import toktok

    return sum(toktok.batch_count([text.encode(errors="replace").decode() for text in texts], ENCODING, threads=1))


def estimate_usage(request: ModelRequest, answer: str) -> Usage:
    """Return what a call took, for a vendor that did not say."""
    messages = len(request.messages) + bool(request.system)
    around = messages * PER_MESSAGE + len(request.tools) * PER_TOOL + _count_images(request) * PER_IMAGE + PER_REQUEST
    return Usage(count_tokens(*_texts(request)) + around, count_tokens(answer), is_estimated=True)


def estimate_request_tokens(request: ModelRequest) -> int:
    """Return a generous guess of what a request takes: quick, for who must note it before it is sent."""
    return sum(map(estimate_tokens, _texts(request))) + _count_images(request) * PER_IMAGE + PER_REQUEST


def max_request_tokens(request: ModelRequest) -> int:
    """Return what the request cannot exceed: a token of a byte-level vocabulary has at least one byte."""
    around = len(request.messages) * MAX_PER_MESSAGE + len(request.tools) * MAX_PER_TOOL + _count_images(request) * MAX_PER_IMAGE
    return sum(len(text.encode(errors="surrogatepass")) for text in _texts(request)) + around + MAX_PER_REQUEST


def _texts(request: ModelRequest) -> Iterator[str]:
    """Yield everything of the request that is text."""
    yield from filter(None, [request.system, *request.facts, *request.passages])
    if request.sources:
        yield from (SOURCES_HEADING, *map(quoted_source, request.sources))
    yield from (f"{tool.name} {tool.description} {json.dumps(tool.parameters)}" for tool in request.tools)
    if request.output:
        yield json.dumps(request.output.schema)
    for message in request.messages:
        for part in message.parts:
            match part:
                case Text(text) | ToolResult(_, text) | Thought(_, text):
                    yield text
                case ToolCall(_, name, arguments):
                    yield f"{name} {arguments}"


def _count_images(request: ModelRequest) -> int:
    return sum(isinstance(part, Image) for message in request.messages for part in message.parts)
