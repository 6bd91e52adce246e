"""A provider that needs no network and no key: deterministic, for a first try and for tests."""

import re
import time
from collections.abc import Iterator

from parley.llm.messages import Finished, ModelEvent, ModelRequest, TextDelta, Usage
from parley.llm.provider import CancelHandle, ProviderStream
from parley.llm.vendors import offline_answers


class OfflineProvider:
    """Answers by rules, word by word, with `pause_s` between words so that a person can see the stream.

    It calls the tools `calculator` and `weather` for matching questions if they are offered, and repeats their results. It
    quotes the sources and facts in the request. Otherwise it explains what it is.
    """

    def __init__(self, *, pause_s: float = 0.0) -> None:
        self._pause_s = pause_s

    def stream(self, model_name: str, request: ModelRequest) -> ProviderStream:
        """Return the answer's event stream, one word per event."""
        return ProviderStream(self._events(model_name, request), CancelHandle())

    def _events(self, model_name: str, request: ModelRequest) -> Iterator[ModelEvent]:  # noqa: ARG002 - there is only one model
        input_tokens = len(" ".join([request.system or "", *(message.text for message in request.messages)]).split())
        if calls := offline_answers.answer_tool_calls(request):
            yield from calls
            yield Finished("tool_calls", Usage(input_tokens, sum(len(call.arguments.split()) for call in calls)))
            return
        words = re.findall(r"\S+\s*", offline_answers.answer_request(request))
        sent = words[: request.max_output_tokens]
        for word in sent:
            yield TextDelta(word)
            time.sleep(self._pause_s)
        yield Finished("stop" if len(sent) == len(words) else "length", Usage(input_tokens, len(sent)))
