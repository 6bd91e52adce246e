"""A provider without a network: deterministic, honest about what it is, good for a first look and for tests."""

import re
import time
from collections.abc import Iterator

from parley.llm import offline_answers
from parley.llm.line import Answer, Line
from parley.llm.types import Event, Finished, Request, TextDelta, Usage


class OfflineProvider:
    """Answers from what it is given, word by word; `pause_s` between words lets a person see the stream.

    It calls a tool `calculator` for arithmetic and a tool `weather` for the weather, where they are offered, and says what
    they answered; it quotes the sources and facts that come with the request, and else says what it is.
    """

    def __init__(self, *, pause_s: float = 0.0) -> None:
        self._pause_s = pause_s

    def stream(self, model_name: str, request: Request) -> Answer:
        """Yield the answer a word at a time."""
        return Answer(self._events(model_name, request), Line())

    def _events(self, model_name: str, request: Request) -> Iterator[Event]:  # noqa: ARG002 - there is only one
        asked = len(" ".join([request.system or "", *(message.text for message in request.messages)]).split())
        if calls := offline_answers.tool_calls(request):
            yield from calls
            yield Finished("tool_calls", Usage(asked, sum(len(call.arguments.split()) for call in calls)))
            return
        words = re.findall(r"\S+\s*", offline_answers.answer(request))
        given = words[: request.max_output_tokens]
        for word in given:
            yield TextDelta(word)
            time.sleep(self._pause_s)
        yield Finished("stop" if len(given) == len(words) else "length", Usage(asked, len(given)))
