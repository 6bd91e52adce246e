"""A provider without a network: deterministic, honest about what it is, good for a first look and for tests."""

import re
import time
from collections.abc import Iterator

from parley.llm.messages import Finished, ModelEvent, ModelRequest, TextDelta, Usage
from parley.llm.provider import CancelHandle, ProviderStream
from parley.llm.vendors import offline_answers


class OfflineProvider:
    """Answers from what it is given, word by word; `pause_s` between words lets a person see the stream.

    It calls a tool `calculator` for arithmetic and a tool `weather` for the weather, where they are offered, and says what
    they answered; it quotes the sources and facts that come with the request, and else says what it is.
    """

    def __init__(self, *, pause_s: float = 0.0) -> None:
        self._pause_s = pause_s

    def stream(self, model_name: str, request: ModelRequest) -> ProviderStream:
        """Yield the answer a word at a time."""
        return ProviderStream(self._events(model_name, request), CancelHandle())

    def _events(self, model_name: str, request: ModelRequest) -> Iterator[ModelEvent]:  # noqa: ARG002 - there is only one
        input_tokens = len(" ".join([request.system or "", *(message.text for message in request.messages)]).split())
        if calls := offline_answers.answer_tool_calls(request):
            yield from calls
            yield Finished("tool_calls", Usage(input_tokens, sum(len(call.arguments.split()) for call in calls)))
            return
        words = re.findall(r"\S+\s*", offline_answers.answer_request(request))
        given = words[: request.max_output_tokens]
        for word in given:
            yield TextDelta(word)
            time.sleep(self._pause_s)
        yield Finished("stop" if len(given) == len(words) else "length", Usage(input_tokens, len(given)))
