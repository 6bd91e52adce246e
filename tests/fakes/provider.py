"""A fake vendor that records every call and behaves as the question says.

Questions: `answers 7`, `refuses 8`, `hangs up 9`, `errs 10`, `dawdles 11`, `pauses 12`, `waits 13`. Every answer is unique: it
consists of the question and how many times the question has been asked. It is called as OpenAI, which gets each message as it is.
"""

import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler

from tests.fakes.vendor import Script, Vendor, refuses, sends
from tests.fakes.wire_formats import chat
from tests.support.time_limits import HANG_S

MODELS = """
[roles]
chat = "scripted"

[models.scripted]
provider = "openai"
name = "scripted"
base_url = "{url}"
max_output_tokens = 100
input_usd_per_mtok = 1.0
output_usd_per_mtok = 2.0
"""
DAWDLE_S = 0.5  # before each event


class FakeProvider:
    """The vendor's script. `histories` maps each question to the messages before it in each call, as (role, text) pairs.

    Setting `gates[text]` lets the answer that begins with that text go on, if it pauses or waits. Answers to a question in `released`
    neither pause nor wait, if it was there when the question was asked: forks ask the same question, each for an answer of its own.
    """

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.histories: dict[str, list[list[tuple[str, str]]]] = defaultdict(list)
        self.gates: dict[str, threading.Event] = defaultdict(threading.Event)
        self.released: set[str] = set()
        self._changed = threading.Condition()

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.request_body  # type: ignore[attr-defined]
        *history, (_, question) = [(each["role"], each["content"]) for each in body["messages"] if each["role"] != "system"]
        with self._changed:
            self.histories[question].append(history)
            count = len(self.histories[question])
            self._changed.notify_all()
        self._script(question, count)(handler)

    def is_asked(self, question: str, count: int) -> bool:
        """Wait until a question has been asked `count` times. Return False after `HANG_S`."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.histories[question]) >= count, HANG_S)

    def _script(self, question: str, count: int) -> Script:
        texts = answer_pieces(question, count)
        gate = self.gates[texts[0]]
        if question in self.released:
            gate.set()
        match question.rsplit(" ", 1)[0]:
            case "refuses":
                return refuses(400)
            case "hangs up":
                return sends([chat.chunk({"content": texts[0]})])
            case "errs":
                return refuses(500)
            case "dawdles":
                return sends(chat.texts(*texts), before=lambda index: time.sleep(DAWDLE_S), is_chunked=True)
            case "pauses":  # after the first text
                return sends(chat.texts(*texts), before=lambda index: index == 1 and gate.wait(HANG_S), is_chunked=True)
            case "waits":  # before the first text
                return sends(chat.texts(*texts), before=lambda index: gate.wait(HANG_S), is_chunked=True)
        return sends(chat.texts(*texts), is_chunked=True)


def answer_pieces(question: str, count: int) -> tuple[str, str]:
    """Return the two texts of the answer when a question is asked for the `count`-th time."""
    return f"{question} #{count}", " is said"
