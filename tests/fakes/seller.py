"""A fake vendor that draws what it does to each call, faults among it, and keeps the bill."""

from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from random import Random

from tests.fakes.bill import Line, count, prompt_tokens
from tests.fakes.vendor import Script, Vendor, refuses, resets, sends
from tests.fakes.wires import anthropic, chat
from tests.fakes.wires.wire import sse

WORDS = ["the", "of", "quick", "brown", "Zürich", "naïve", "garçon", "東京", "привет", "🙂", "tokens,", "bill:", "{x}", "3.14", "\n"]
OVERLOADED = sse({"type": "error", "error": {"type": "overloaded_error", "message": "no"}}, event="error")
# What it does, and how often in one round of the deck.
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
class Wording:
    """A wire format: `write` makes an answer's pieces, of which `before` stand before its first text."""

    write: Callable[[list[str], Line], list[bytes]]
    before: int
    tells_written: bool = False


class Deck:
    """The moves in random order, none of which stays out for long; several vendors may share it."""

    def __init__(self, draw: Random) -> None:
        self.draw = draw
        self._left: list[str] = []

    def next(self) -> str:
        if not self._left:
            self._left = [move for move, times in MOVES.items() for _ in range(times)]
            self.draw.shuffle(self._left)
        return self._left.pop()


class Seller:
    """The script of a vendor that sells one model."""

    def __init__(self, vendor: Vendor, wording: Wording, deck: Deck) -> None:
        self.vendor, self.wording, self.deck, self.draw = vendor, wording, deck, deck.draw
        self.lines: list[Line] = []
        self.moves: list[str] = []

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        move = self.deck.next()
        self.moves.append(move)
        script = self.draw.choice(REFUSALS) if move == "refuses" else self._answer(move)
        script(handler)

    def _answer(self, move: str) -> Script:
        match move:
            case "answers" | "answers from its cache" | "says nothing":
                texts = [] if move == "says nothing" else self._texts()
                return sends(self.wording.write(texts, self._sell(texts, caches="cache" in move)), is_chunked=True)
            case "does not count":
                texts = self._texts()
                return sends(self.wording.write(texts, self._deliver(texts)), is_chunked=True)
        return self._cut(move)

    def _cut(self, move: str) -> Script:
        """Send the answer's first pieces, and what ends it."""
        texts = [] if move == "hangs up before a word" else self._texts()
        begun = self.wording.write(texts, self._deliver(texts))[: self.wording.before + len(texts)]
        if move == "errs in the middle":
            return sends([*begun, OVERLOADED], is_chunked=True)
        return _then_resets(sends(begun)) if move == "resets the connection" else sends(begun)

    def _sell(self, texts: list[str], *, caches: bool) -> Line:
        """Charge by the vendor's own tokenizer, which is not OpenAI's, and say so."""
        input_tokens, output_tokens = self._input_tokens() * 11 // 10 + 5, count("".join(texts)) * 13 // 12
        cached = self.draw.randint(0, input_tokens) if caches else 0
        written = self.draw.randint(0, input_tokens - cached) if caches and self.wording.tells_written else 0
        return self._charge(Line(self._model, input_tokens, output_tokens, cached, written))

    def _deliver(self, texts: list[str]) -> Line:
        """Charge what was delivered, and do not say so."""
        return self._charge(Line(self._model, self._input_tokens(), count("".join(texts)), is_reported=False))

    def _charge(self, line: Line) -> Line:
        self.lines.append(line)
        return line

    def _texts(self) -> list[str]:
        return [" ".join(self.draw.choices(WORDS, k=4)) + " " for _ in range(self.draw.randint(1, 12))]

    def _input_tokens(self) -> int:
        return prompt_tokens(self.vendor.asked)

    @property
    def _model(self) -> str:
        return str(self.vendor.asked["model"])


def write_chat(texts: list[str], line: Line) -> list[bytes]:
    """Write an answer as OpenAI does; the usage only if it is reported."""
    usage = {"prompt_tokens": line.input_tokens, "completion_tokens": line.output_tokens}
    usage |= {"prompt_tokens_details": {"cached_tokens": line.cached_tokens}}
    first = chat.chunk({"role": "assistant", "content": ""})
    return [first, *chat.texts(*texts, usage=usage if line.is_reported else None)]


def write_anthropic(texts: list[str], line: Line) -> list[bytes]:
    """Write an answer as Anthropic does; the usage only if it is reported."""
    if not line.is_reported:
        return anthropic.texts(*texts, started=None, ended=None)
    counts = {"cache_read_input_tokens": line.cached_tokens, "cache_creation_input_tokens": line.written_tokens}
    fresh = line.input_tokens - line.cached_tokens - line.written_tokens
    started = counts | {"input_tokens": fresh, "output_tokens": 1}
    return anthropic.texts(*texts, started=started, ended={"output_tokens": line.output_tokens})


CHAT = Wording(write_chat, before=1)
ANTHROPIC = Wording(write_anthropic, before=3, tells_written=True)


def _then_resets(script: Script) -> Script:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        script(handler)
        resets(handler)

    return answer
