"""Token counts: a fast high estimate, a close count, and an upper bound.

Only the provider knows the tokens that it bills. If it does not report usage, `estimate_usage` counts with OpenAI's `o200k_base`,
whose tables ship in the wheel of `toktok-rs`. The count is exact for texts of OpenAI's models since GPT-4o and an
approximation for all others. Loading takes 0.2 to 0.7 s and 65 MB once, so it is delayed until the first answer that may
be stopped.
"""

import json
import threading
from collections.abc import Iterator
from functools import cache

from parley.llm.messages import Image, ModelRequest, Text, Thought, ToolCall, ToolResult, Usage
from parley.llm.prompts import SOURCES_HEADING, quoted_source

BYTES_PER_TOKEN = 3  # English has about 4, code and other scripts fewer; a low figure keeps the estimate high
ENCODING = "o200k_base"
# Tokens that vendors add: a message's role and separators, a tool's declaration, the start of the answer.
PER_MESSAGE, PER_TOOL, PER_REQUEST, PER_IMAGE = 4, 12, 3, 1000
# Upper bounds of the same: Anthropic's prompt for tools has about 700 tokens, its largest images about 5,000.
MAX_PER_MESSAGE, MAX_PER_TOOL, MAX_PER_REQUEST, MAX_PER_IMAGE = 16, 64, 1000, 5000


def estimate_tokens(text: str) -> int:
    """Return a high estimate of the tokens of one message with this text."""
    return len(text.encode(errors="surrogatepass")) // BYTES_PER_TOKEN + 1 + PER_MESSAGE


@cache
def warm_up() -> None:
    """Load the tokenizer in a background thread, once per process."""
    threading.Thread(target=count_tokens, args=("",), daemon=True).start()


def count_tokens(*texts: str) -> int:
    """Return the total number of tokens of texts that are encoded separately."""
    import toktok

    return sum(toktok.batch_count([text.encode(errors="replace").decode() for text in texts], ENCODING, threads=1))


def estimate_usage(request: ModelRequest, answer: str) -> Usage:
    """Return the estimated usage of a call whose vendor reported none."""
    messages = len(request.messages) + bool(request.system)
    overhead = messages * PER_MESSAGE + len(request.tools) * PER_TOOL + _count_images(request) * PER_IMAGE + PER_REQUEST
    return Usage(count_tokens(*_texts(request)) + overhead, count_tokens(answer), is_estimated=True)


def estimate_request_tokens(request: ModelRequest) -> int:
    """Return a fast, high estimate of a request's tokens, to be stored before the request is sent."""
    return sum(map(estimate_tokens, _texts(request))) + _count_images(request) * PER_IMAGE + PER_REQUEST


def max_request_tokens(request: ModelRequest) -> int:
    """Return an upper bound of a request's tokens. A token of a byte-level vocabulary has at least one byte, so bytes are counted."""
    overhead = len(request.messages) * MAX_PER_MESSAGE + len(request.tools) * MAX_PER_TOOL + _count_images(request) * MAX_PER_IMAGE
    return sum(len(text.encode(errors="surrogatepass")) for text in _texts(request)) + overhead + MAX_PER_REQUEST


def _texts(request: ModelRequest) -> Iterator[str]:
    """Yield all texts of the request, including tool definitions and the output schema."""
    yield from filter(None, [request.system, *request.facts, *request.passages])
    if request.sources:
        yield from (SOURCES_HEADING, *map(quoted_source, request.sources))
    yield from (tool.text for tool in request.tools)
    if request.output:
        yield json.dumps(request.output.schema)
    for message in request.messages:
        if isinstance(message.content, str):  # nearly all messages
            yield message.content
            continue
        for part in message.content:
            match part:
                case Text(text) | ToolResult(_, text) | Thought(_, text):
                    yield text
                case ToolCall(_, name, arguments):
                    yield f"{name} {arguments}"


def _count_images(request: ModelRequest) -> int:
    contents = (message.content for message in request.messages if not isinstance(message.content, str))
    return sum(isinstance(part, Image) for content in contents for part in content)
