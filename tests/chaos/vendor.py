"""A model vendor that fails in every way and keeps its own books of the calls that it received."""

import re
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from random import Random

from tests.fakes.vendor import refuses, resets, sends
from tests.fakes.wire_formats import chat

MODELS = """
[roles]
chat = "chaotic"
title = "offline"
summary = "offline"
facts = "offline"
embedding = "lexical"

[models.chaotic]
provider = "openai-compatible"
name = "chaotic"
base_url = "{url}"
max_output_tokens = 400
input_usd_per_mtok = 3.0
output_usd_per_mtok = 15.0

[models.offline]
provider = "offline"
name = "offline"

[models.lexical]
provider = "offline"
name = "lexical"
kind = "embedding"
dimensions = 64
"""
QUESTION = re.compile(r"question-\d{6}")
# How often the vendor does what, of a hundred calls.
MOVES = {"answers": 66, "dawdles": 15, "does not count": 4, "hangs up": 4, "resets": 3, "fails": 4, "is busy": 2, "rejects": 2}
DAWDLE_S = 0.3  # before each piece of an answer


@dataclass(frozen=True)
class BookLine:
    """A call that the vendor received: the text that it sent in answer, and the tokens that it reported, or None."""

    text: str
    tokens: tuple[int, int] | None


class ChaoticVendor:
    """The script of the fake vendor. `books` has the calls by question. Without `is_faulty`, it answers every call."""

    def __init__(self, seed):
        self.is_faulty = True
        self.books = defaultdict(list)
        self._random, self._lock = Random(f"vendor {seed}"), threading.Lock()

    def __call__(self, handler):
        question = question_of(handler.request_body)
        with self._lock:
            move = self._random.choices(list(MOVES), list(MOVES.values()))[0] if self.is_faulty else "answers"
            pieces = [f"answer {len(self.books[question]) + 1} of {question}", *(f" piece {n}" for n in range(self._random.randint(2, 12)))]
            tokens = self._random.randint(10, 900), len(pieces)
            line, script = play(move, pieces, tokens)
            self.books[question].append(line)
        script(handler)


def question_of(body):
    """Return the question that a request to the model ends with."""
    content = body["messages"][-1]["content"]
    text = content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
    return QUESTION.findall(text)[-1]


def play(move, pieces, tokens):
    """Return the line for the vendor's books, and the script that answers the call."""
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
    half = pieces[: len(pieces) // 2]
    match move:
        case "answers":
            return BookLine("".join(pieces), tokens), sends(chat.texts(*pieces, usage=usage), is_chunked=True)
        case "dawdles":
            slow = sends(chat.texts(*pieces, usage=usage), before=lambda _: time.sleep(DAWDLE_S), is_chunked=True)
            return BookLine("".join(pieces), tokens), slow
        case "does not count":
            return BookLine("".join(pieces), None), sends(chat.texts(*pieces, usage=None), is_chunked=True)
        case "hangs up":
            return BookLine("".join(half), None), sends([chat.chunk({"content": piece}) for piece in half])
        case "resets":
            return BookLine("", None), resets
        case "fails":
            return BookLine("", None), refuses(500)
        case "is busy":
            return BookLine("", None), refuses(429, headers={"Retry-After": "0.01"})
    return BookLine("", None), refuses(400)
