"""A fake vendor that picks a random behaviour for each call, including faults, and writes its own invoice.

The invoice is counted and priced without Parley's code.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from random import Random
from typing import Any

import toktok

from tests.fakes.vendor import Script, Vendor, refuses, resets, sends
from tests.fakes.wire_formats import anthropic, chat
from tests.fakes.wire_formats.wire_format import sse

ENCODING = "o200k_base"


@dataclass(frozen=True)
class Prices:
    """US dollars per million tokens, with the catalogue's field names."""

    input_usd_per_mtok: Decimal
    cached_input_usd_per_mtok: Decimal
    cache_write_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal


PRICES = {
    "gpt": Prices(Decimal("1.25"), Decimal("0.13"), Decimal("1.25"), Decimal("10.01")),
    "claude": Prices(Decimal("3.07"), Decimal("0.31"), Decimal("3.75"), Decimal("15.5")),
}


@dataclass(frozen=True)
class InvoiceLine:
    """One charged call. Cached tokens and tokens written to the cache are part of `input_tokens`.

    `is_reported` tells whether the vendor reported the usage to the caller.
    """

    model: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    written_tokens: int = 0
    is_reported: bool = True

    @property
    def usd(self) -> Decimal:
        prices = PRICES[self.model]
        fresh = self.input_tokens - self.cached_tokens - self.written_tokens
        usd = fresh * prices.input_usd_per_mtok + self.cached_tokens * prices.cached_input_usd_per_mtok
        usd += self.written_tokens * prices.cache_write_usd_per_mtok + self.output_tokens * prices.output_usd_per_mtok
        return usd / 1_000_000


def count_tokens(text: str) -> int:
    """Return the number of tokens, counted with OpenAI's tokenizer."""
    return toktok.batch_count([text], ENCODING, threads=1)[0]


def prompt_tokens(body: dict[str, Any]) -> int:
    """Count a request's tokens by OpenAI's rule: each message costs its text, its role and three more; the answer costs three."""
    system = [{"role": "system", "content": body["system"]}] if body.get("system") else []
    return 3 + sum(3 + count_tokens(each["role"]) + count_tokens(_text_of_content(each["content"])) for each in system + body["messages"])


def _text_of_content(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block["text"] for block in content)


WORDS = ["the", "of", "quick", "brown", "Zürich", "naïve", "garçon", "東京", "привет", "🙂", "tokens,", "bill:", "{x}", "3.14", "\n"]
OVERLOADED = sse({"type": "error", "error": {"type": "overloaded_error", "message": "no"}}, event="error")

# Behaviours, and how often each occurs in one shuffled round.
MOVES = {
    "answers": 30,
    "answers from its cache": 8,
    "says nothing": 2,
    "does not count": 5,
    "hangs up": 2,
    "resets the connection": 2,
    "errs in the middle": 2,
    "hangs up before a word": 2,
    "refuses": 10,
}

REFUSALS: list[Script] = [
    refuses(429, headers={"Retry-After": "0.001"}),
    refuses(429, headers={"Retry-After": "60"}),
    refuses(500),
    refuses(529),
    refuses(400),
    refuses(401),
    resets,
    sends([OVERLOADED], is_chunked=True),
]


@dataclass(frozen=True)
class AnswerFormat:
    """A wire format: `write` returns the pieces of an answer; the first `before` pieces precede its first text."""

    write: Callable[[list[str], InvoiceLine], list[bytes]]
    before: int
    reports_cache_writes: bool = False


class ShuffledMoves:
    """The moves in random order, reshuffled after each round. Several vendors may share it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self._left: list[str] = []

    def next(self) -> str:
        if not self._left:
            self._left = [move for move, times in MOVES.items() for _ in range(times)]
            self.random.shuffle(self._left)
        return self._left.pop()


class BilledProvider:
    """The script of a vendor with one model."""

    def __init__(self, vendor: Vendor, answer_format: AnswerFormat, shuffled_moves: ShuffledMoves) -> None:
        self.vendor, self.answer_format = vendor, answer_format
        self.shuffled_moves, self.random = shuffled_moves, shuffled_moves.random
        self.lines: list[InvoiceLine] = []
        self.moves: list[str] = []

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        move = self.shuffled_moves.next()
        self.moves.append(move)
        script = self.random.choice(REFUSALS) if move == "refuses" else self._answer(move)
        script(handler)

    def _answer(self, move: str) -> Script:
        match move:
            case "answers" | "answers from its cache" | "says nothing":
                texts = [] if move == "says nothing" else self._texts()
                return sends(self.answer_format.write(texts, self._report_usage(texts, caches="cache" in move)), is_chunked=True)
            case "does not count":
                texts = self._texts()
                return sends(self.answer_format.write(texts, self._hide_usage(texts)), is_chunked=True)
        return self._cut(move)

    def _cut(self, move: str) -> Script:
        """Return a script that sends the first pieces of an answer and then fails."""
        texts = [] if move == "hangs up before a word" else self._texts()
        beginning = self.answer_format.write(texts, self._hide_usage(texts))[: self.answer_format.before + len(texts)]
        if move == "errs in the middle":
            return sends([*beginning, OVERLOADED], is_chunked=True)
        return _reset_after(sends(beginning)) if move == "resets the connection" else sends(beginning)

    def _report_usage(self, texts: list[str], *, caches: bool) -> InvoiceLine:
        """Charge by the vendor's own token counts, which differ from OpenAI's, and report the usage."""
        input_tokens, output_tokens = self._input_tokens() * 11 // 10 + 5, count_tokens("".join(texts)) * 13 // 12
        cached = self.random.randint(0, input_tokens) if caches else 0
        written = self.random.randint(0, input_tokens - cached) if caches and self.answer_format.reports_cache_writes else 0
        return self._charge(InvoiceLine(self._model, input_tokens, output_tokens, cached, written))

    def _hide_usage(self, texts: list[str]) -> InvoiceLine:
        """Charge the delivered text without reporting the usage."""
        return self._charge(InvoiceLine(self._model, self._input_tokens(), count_tokens("".join(texts)), is_reported=False))

    def _charge(self, line: InvoiceLine) -> InvoiceLine:
        self.lines.append(line)
        return line

    def _texts(self) -> list[str]:
        return [" ".join(self.random.choices(WORDS, k=4)) + " " for _ in range(self.random.randint(1, 12))]

    def _input_tokens(self) -> int:
        return prompt_tokens(self.vendor.last_body)

    @property
    def _model(self) -> str:
        return str(self.vendor.last_body["model"])


def write_chat(texts: list[str], line: InvoiceLine) -> list[bytes]:
    """Return an answer in OpenAI's format, with its usage if it is reported."""
    usage = {"prompt_tokens": line.input_tokens, "completion_tokens": line.output_tokens}
    usage |= {"prompt_tokens_details": {"cached_tokens": line.cached_tokens}}
    first = chat.chunk({"role": "assistant", "content": ""})
    return [first, *chat.texts(*texts, usage=usage if line.is_reported else None)]


def write_anthropic(texts: list[str], line: InvoiceLine) -> list[bytes]:
    """Return an answer in Anthropic's format, with its usage if it is reported."""
    if not line.is_reported:
        return anthropic.texts(*texts, started=None, ended=None)
    counts = {"cache_read_input_tokens": line.cached_tokens, "cache_creation_input_tokens": line.written_tokens}
    fresh = line.input_tokens - line.cached_tokens - line.written_tokens
    started = counts | {"input_tokens": fresh, "output_tokens": 1}
    return anthropic.texts(*texts, started=started, ended={"output_tokens": line.output_tokens})


CHAT = AnswerFormat(write_chat, before=1)
ANTHROPIC = AnswerFormat(write_anthropic, before=3, reports_cache_writes=True)


def _reset_after(script: Script) -> Script:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        script(handler)
        resets(handler)

    return answer
