"""A provider without a network: deterministic, honest about what it is, good for a first look and for tests."""

import re
import time
from collections.abc import Iterator, Sequence

from parley.llm.types import Event, Finished, Message, Request, TextDelta, Usage

GREETING = (
    "I am Parley's offline model: no network, no key, no intelligence. "
    "I show that everything around me works: your account, this stream, and the conversation that is now stored."
)
HINT = "Set OPENAI_API_KEY, or name a model in models.toml, and a real one answers here."


class OfflineProvider:
    """Answers from what it is given, word by word; `pause_s` between words lets a person see the stream."""

    def __init__(self, *, pause_s: float = 0.0) -> None:
        self._pause_s = pause_s

    def stream(self, model_name: str, request: Request) -> Iterator[Event]:  # noqa: ARG002 - there is only one
        """Yield the answer a word at a time."""
        words = re.findall(r"\S+\s*", _answer(request.messages))
        given = words[: request.max_output_tokens]
        for word in given:
            yield TextDelta(word)
            time.sleep(self._pause_s)
        asked = " ".join([request.system or "", *(message.text for message in request.messages)])
        usage = Usage(input_tokens=len(asked.split()), output_tokens=len(given))
        yield Finished("stop" if len(given) == len(words) else "length", usage)


def _answer(messages: Sequence[Message]) -> str:
    questions = [message.text for message in messages if message.role == "user"]
    earlier = f" Before that you said: “{_short(questions[-2])}”" if len(questions) > 1 else ""
    return f"{GREETING}\n\nYou said: “{_short(questions[-1])}”{earlier}\n\n{HINT}"


def _short(text: str, *, limit: int = 200) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
