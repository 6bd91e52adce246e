"""Spans of model calls and tools, after OpenTelemetry's conventions for generative AI.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/. The conventions' attributes for messages, instructions, tool arguments
and results are never set, because they are the users' text.
"""

from parley.llm.messages import Finished, ModelEvent, ModelRequest
from parley.llm.model import Model, ModelCall
from parley.observability.traces import NO_SPAN, AttributeValue, Span, is_tracing, start_span

# The conventions' names of providers that differ from ours.
_PROVIDERS = {"bedrock": "aws.bedrock", "mistral": "mistral_ai"}


def start_chat_span(call: ModelCall, request: ModelRequest) -> Span:
    """Start the span of a model's answer."""
    if not is_tracing():
        return NO_SPAN
    attributes: dict[str, AttributeValue] = {"gen_ai.request.stream": True}
    if request.max_output_tokens is not None:
        attributes["gen_ai.request.max_tokens"] = request.max_output_tokens
    if request.temperature is not None:
        attributes["gen_ai.request.temperature"] = request.temperature
    return _start(call.model, "chat", attributes)


def note_event(span: Span, event: ModelEvent, *, number: int, elapsed_s: float) -> None:
    """Record the time of the first event and the reason of the last."""
    if number == 0:
        span.set({"gen_ai.response.time_to_first_chunk": elapsed_s})
    if isinstance(event, Finished):
        span.set({"gen_ai.response.finish_reasons": (event.reason,)})


def end_chat_span(span: Span, call: ModelCall) -> None:
    """End the span with the call's usage and outcome."""
    if span is NO_SPAN:
        return
    usage = call.usage
    span.set({"gen_ai.usage.input_tokens": usage.input_tokens, "gen_ai.usage.output_tokens": usage.output_tokens})
    if usage.cached_input_tokens:
        span.set({"gen_ai.usage.cache_read.input_tokens": usage.cached_input_tokens})
    if call.status in ("failed", "interrupted"):
        span.fail(call.error_code or call.status)
    span.end()


def start_embedding_span(call: ModelCall) -> Span:
    """Start the span of a batch of texts that are embedded."""
    return _start(call.model, "embeddings", {}) if is_tracing() else NO_SPAN


def start_tool_span(name: str) -> Span:
    """Start the span of a tool call. `name` must be a name for logs, because a user may have named a tool."""
    if not is_tracing():
        return NO_SPAN
    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.type": "function"}
    return start_span(f"execute_tool {name}", attributes=attributes)


def _start(model: Model, operation: str, attributes: dict[str, AttributeValue]) -> Span:
    attributes |= {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": _PROVIDERS.get(model.provider, model.provider),
        "gen_ai.request.model": model.name,
    }
    return start_span(f"{operation} {model.name}", kind="client", attributes=attributes)
