"""How many tokens a text takes, without a tokenizer: vendors differ, and their tables are fetched over the network."""

from parley.llm.types import Image, Request, Text, ToolCall, ToolResult, Usage

BYTES_PER_TOKEN = 3  # English takes about 4, code and other scripts less; a low figure keeps the estimate high
PER_MESSAGE = 4
PER_IMAGE = 1000


def estimate_tokens(text: str) -> int:
    """Return a generous estimate of what one message with this text takes."""
    return len(text.encode(errors="surrogatepass")) // BYTES_PER_TOKEN + 1 + PER_MESSAGE


def estimate_usage(request: Request, answer: str) -> Usage:
    """Return what a call took, for a vendor that did not say."""
    texts = [request.system or "", *request.facts, *(source.text for source in request.sources)]
    texts += [f"{tool.name}{tool.description}{tool.parameters}" for tool in request.tools]
    images = 0
    for message in request.messages:
        for part in message.parts:
            match part:
                case Text(text) | ToolResult(_, text) | ToolCall(_, _, text):
                    texts.append(text)
                case Image():
                    images += 1
    return Usage(sum(map(estimate_tokens, filter(None, texts))) + images * PER_IMAGE, estimate_tokens(answer), is_estimated=True)
