"""A fake vendor that obeys the question and records every call: `answers 7`, `refuses 8`, `hangs up 9`, `errs 10`,
`dawdles 11`, `pauses 12`, `waits 13`.

Every answer differs: it repeats the question and counts how often it was asked.
"""

import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler

from tests.fakes.vendor import Script, Vendor, refuses, sends
from tests.fakes.wire_formats import chat

MODELS = """
[roles]
chat = "parrot"

[models.parrot]
provider = "openai-compatible"
name = "parrot"
base_url = "{url}"
max_output_tokens = 100
input_usd_per_mtok = 1.0
output_usd_per_mtok = 2.0
"""
PATIENCE_S = 60.0
DAWDLE_S = 0.5  # before each event


class FakeProvider:
    """The script of such a vendor. `asked` has for each question what was said before it, call by call."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.asked: dict[str, list[list[tuple[str, str]]]] = defaultdict(list)
        self.gates: dict[str, threading.Event] = defaultdict(threading.Event)
        self._changed = threading.Condition()

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        spoken = [(said["role"], said["content"]) for said in _request_body(handler)["messages"] if said["role"] != "system"]
        question = spoken[-1][1]
        with self._changed:
            self.asked[question].append(spoken[:-1])
            count = len(self.asked[question])
            self._changed.notify_all()
        self._script(question, count)(handler)

    def is_asked(self, question: str, count: int) -> bool:
        """Wait until a question has been asked so often."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.asked[question]) >= count, PATIENCE_S)

    def _script(self, question: str, count: int) -> Script:
        texts = answer_pieces(question, count)
        match question.rsplit(" ", 1)[0]:
            case "refuses":
                return refuses(400)
            case "hangs up":
                return sends([chat.chunk({"content": texts[0]})])
            case "errs":
                return refuses(500)
            case "dawdles":
                return sends(chat.texts(*texts), before=lambda index: time.sleep(DAWDLE_S), is_chunked=True)
            case "pauses":  # after its first words
                return sends(chat.texts(*texts), before=lambda index: index == 1 and self.gates[question].wait(PATIENCE_S), is_chunked=True)
            case "waits":  # before them
                return sends(chat.texts(*texts), before=lambda index: self.gates[question].wait(PATIENCE_S), is_chunked=True)
        return sends(chat.texts(*texts), is_chunked=True)


def answer_pieces(question: str, count: int) -> tuple[str, str]:
    """The two pieces of the answer when a question is asked for the `count`-th time."""
    return f"{question} #{count}", " is said"


def _request_body(handler: BaseHTTPRequestHandler) -> dict:
    return handler.asked
