"""One guarded call: the request without what the vendor must not receive, and the answer without what the reader must not see.

Only the newest message of a user's chat can be refused. Everywhere else (older messages, documents, tool results, memory, prompts,
background work) a blocked text is replaced instead: a conversation stays usable after a refused message, and a job does not fail for ever.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

from parley.llm.errors import GuardBlocked
from parley.llm.guards.personal_data import PersonalDataFinder
from parley.llm.guards.request_texts import Change, changed_json, changed_request
from parley.llm.guards.spans import Finder, Found, ReplacedText, TextSpan, TextStream, replace_all
from parley.llm.guards.words import WordFinder
from parley.llm.messages import ModelEvent, ModelRequest, ReasoningDelta, TextDelta, ToolCall, ToolCallDelta
from parley.llm.model import GuardAction, GuardHit, GuardSettings
from parley.snapshots import before_snapshot

REMOVED = "[removed]"
_PLACEHOLDER = re.compile(r"\[[A-Z_]{1,32}_\d{1,6}\]")
_OPEN_PLACEHOLDER = re.compile(r"\[[A-Z_]{0,33}\d{0,6}\Z")
_MAX_PLACEHOLDER = 42

type Place = Literal["request", "answer"]
# "text", "refusal", "reasoning", or the number of a tool call.
type Channel = str | int


@dataclass(frozen=True, slots=True)
class Guard:
    """A configured guard: its name, how it finds its spans in requests and in answers, and what happens to them.

    Without an `answer_finder` it reads requests only. `restores` is None for a guard without placeholders.
    """

    name: str
    finder: Finder
    answer_finder: Finder | None
    action: GuardAction
    restores: bool | None = None


@lru_cache(maxsize=32)
def guards_of(settings: GuardSettings) -> tuple[Guard, ...]:
    """Return the guards that the settings name, in the order in which they read a text: a service reads what the others leave."""
    guards: list[Guard] = []
    if words := settings.words:
        word_finder = WordFinder(words.words)
        guards.append(Guard("words", word_finder, word_finder, words.action))
    if personal := settings.personal_data:
        finder = PersonalDataFinder(personal.kinds)
        guards.append(Guard("personal_data", finder, finder if personal.in_answers else None, personal.action, personal.restores))
    return (*guards, *_remote_guards(settings))


def _remote_guards(settings: GuardSettings) -> Iterator[Guard]:
    if settings.presidio is None and settings.bedrock is None:
        return
    from parley.llm.guards.remote_finder import bedrock_finder, presidio_finder

    if presidio := settings.presidio:
        finder = presidio_finder(presidio)
        yield Guard("presidio", finder, finder if presidio.in_answers else None, presidio.action, presidio.restores)
    if bedrock := settings.bedrock:
        answer_finder = bedrock_finder(bedrock, source="OUTPUT") if bedrock.in_answers else None
        yield Guard("bedrock", bedrock_finder(bedrock, source="INPUT"), answer_finder, "mask", bedrock.restores)


before_snapshot(guards_of.cache_clear)


class GuardedCall:
    """The guards' work on one call of a model: `guard_request`, then `guard_event` for each event. `hits` says what they found."""

    def __init__(self, settings: GuardSettings, task: str) -> None:
        self._guards, self._is_chat = guards_of(settings), task == "chat"
        self._placeholders: dict[tuple[str, str], str] = {}
        self._originals: dict[str, str] = {}
        self._numbers: Counter[str] = Counter()
        self._counts: Counter[tuple[str, str, GuardAction, Place]] = Counter()
        self._streams: dict[Channel, tuple[TextStream, Callable[[str], ModelEvent]]] = {}

    @property
    def hits(self) -> tuple[GuardHit, ...]:
        """The findings of the guards so far."""
        return tuple(GuardHit(*key, count) for key, count in self._counts.items())

    def guard_request(self, request: ModelRequest) -> ModelRequest:
        """Return the request as the vendor may receive it. Raises GuardBlocked, and Unavailable if a guard's service is away."""
        for guard in self._guards:
            _prepare(guard.finder, partial(changed_request, request))
            change = partial(self.changed, guard)
            request = changed_request(request, change, partial(change, may_block=True))
        return request

    def changed(self, guard: Guard, text: str, *, may_block: bool = False) -> str:
        """Return a text of the request without what one guard finds. Raises GuardBlocked if `may_block`, and Unavailable."""
        return replace_all(self._finder(guard.finder), text, partial(self._replace, guard, "request", may_block=may_block))

    def _finder(self, finder: Finder) -> Finder:
        return _BesidePlaceholders(finder, self._originals) if self._originals else finder

    def guard_event(self, event: ModelEvent) -> Iterator[ModelEvent]:
        """Yield the events that may be passed on once `event` has arrived. Raises GuardBlocked."""
        match event:
            case TextDelta(text, is_refusal):
                yield from self._pieces("refusal" if is_refusal else "text", text, lambda text: TextDelta(text, is_refusal))
            case ReasoningDelta(""):
                yield event
            case ReasoningDelta(text):
                yield from self._pieces("reasoning", text, ReasoningDelta)
            case ToolCallDelta(index, id, name, arguments):
                yield from self._flushed(lambda channel: isinstance(channel, str))
                if not arguments:
                    yield event
                yield from self._pieces(index, arguments, lambda text: ToolCallDelta(index, id, name, text))
            case ToolCall(id, name, arguments):
                yield from self._flushed()
                for guard in self._guards:
                    _prepare(guard.answer_finder, partial(changed_json, arguments))
                    arguments = changed_json(arguments, partial(self._changed_answer, guard))
                yield ToolCall(id, name, changed_json(arguments, self._all_restored))
            case _:
                yield from self._flushed()
                yield event

    def _pieces(self, channel: Channel, piece: str, make: Callable[[str], ModelEvent]) -> Iterator[ModelEvent]:
        if isinstance(channel, str):
            yield from self._flushed(lambda other: other != channel)
        stream, _ = self._streams.setdefault(channel, (self._answer_stream(is_json=isinstance(channel, int)), make))
        if piece and (text := stream.feed(piece)):
            yield make(text)

    def _flushed(self, is_flushed: Callable[[Channel], bool] = lambda _channel: True) -> Iterator[ModelEvent]:
        """Yield what was held back on channels that another kind of event ends: no word goes on across it."""
        for channel in [channel for channel in self._streams if is_flushed(channel)]:
            stream, make = self._streams.pop(channel)
            if text := stream.rest():
                yield make(text)

    def _answer_stream(self, *, is_json: bool) -> TextStream:
        # The pieces of a tool call's arguments arrive a second time, as a whole, and are counted then.
        streams: list[TextStream] = [
            ReplacedText(self._finder(guard.answer_finder), partial(self._replace, guard, "answer", may_block=True, counts=not is_json))
            for guard in self._guards
            if guard.answer_finder
        ]
        if self._originals:
            streams.append(ReplacedText(PlaceholderFinder(), lambda _span, text: self._restored(text, is_json=is_json)))
        return Chain(streams)

    def _changed_answer(self, guard: Guard, text: str) -> str:
        if guard.answer_finder is None:
            return text
        return replace_all(self._finder(guard.answer_finder), text, partial(self._replace, guard, "answer", may_block=True))

    def _all_restored(self, text: str) -> str:
        return replace_all(PlaceholderFinder(), text, lambda _span, placeholder: self._restored(placeholder, is_json=False))

    def _replace(self, guard: Guard, place: Place, span: TextSpan, text: str, *, may_block: bool, counts: bool = True) -> str:
        action = span.action or guard.action
        if action == "block" and not (may_block and self._is_chat):
            action = "mask"
        if counts or action == "block":
            self._counts[guard.name, span.kind, action, place] += 1
        if action == "block":
            raise GuardBlocked(guard.name, place=place)
        if action == "report":
            return text
        if guard.restores is None or place == "answer" or span.action == "block":
            return REMOVED
        return self._placeholder(span.kind, text, restores=guard.restores)

    def _placeholder(self, kind: str, text: str, *, restores: bool) -> str:
        if (kind, text) not in self._placeholders:
            self._numbers[kind] += 1
            placeholder = f"[{kind.upper()}_{self._numbers[kind]}]"
            self._placeholders[kind, text] = placeholder
            # The text may contain placeholders of guards before this one.
            original = _PLACEHOLDER.sub(lambda match: self._originals.get(match[0], match[0]), text)
            self._originals[placeholder] = original if restores else placeholder
        return self._placeholders[kind, text]

    def _restored(self, placeholder: str, *, is_json: bool) -> str:
        original = self._originals.get(placeholder, placeholder)
        return json.dumps(original, ensure_ascii=False)[1:-1] if is_json else original


class PlaceholderFinder:
    """Finds placeholders such as `[EMAIL_1]`."""

    def find(self, text: str, *, before: str = "", is_end: bool = True) -> Found:  # noqa: ARG002 - any character may be before one
        """Return the placeholders in `text`."""
        spans = [TextSpan(match.start(), match.end(), "placeholder") for match in _PLACEHOLDER.finditer(text)]
        floor = max(0, len(text) - _MAX_PLACEHOLDER)
        open_placeholder = None if is_end else _OPEN_PLACEHOLDER.search(text, floor)
        return Found(spans, open_placeholder.start() if open_placeholder else len(text))


class _BesidePlaceholders:
    """Finds what `finder` finds, except within the placeholders that this call has set."""

    def __init__(self, finder: Finder, originals: Mapping[str, str]) -> None:
        self._finder, self._originals = finder, originals

    def find(self, text: str, *, before: str = "", is_end: bool = True) -> Found:
        """Return the spans in `text`."""
        found = self._finder.find(text, before=before, is_end=is_end)
        set_here = [match.span() for match in _PLACEHOLDER.finditer(text) if match[0] in self._originals] if found.spans else []
        spans = [span for span in found.spans if not any(start <= span.start and span.end <= end for start, end in set_here)]
        return Found(spans, found.open_start)


class Chain:
    """Passes a text through several streams, one after the other."""

    def __init__(self, streams: list[TextStream]) -> None:
        self._streams = streams

    def feed(self, piece: str) -> str:
        """Return what the last stream passes on."""
        for stream in self._streams:
            piece = stream.feed(piece)
        return piece

    def rest(self) -> str:
        """Return what all streams held back."""
        rest = ""
        for stream in self._streams:
            rest = stream.feed(rest) + stream.rest()
        return rest


def guarded_texts(texts: Sequence[str], settings: GuardSettings) -> tuple[list[str], list[GuardHit]]:
    """Return texts as a vendor may receive them, none of them refused, and the findings. Raises Unavailable.

    Each text has placeholders of its own, so that equal texts have equal vectors.
    """
    guarded, calls = list(texts), [GuardedCall(settings, "embedding") for _ in texts]
    for guard in guards_of(settings):
        _prepare(guard.finder, partial(_changed_texts, guarded))
        guarded = [call.changed(guard, text) for call, text in zip(calls, guarded, strict=True)]
    return guarded, [hit for call in calls for hit in call.hits]


def _changed_texts(texts: Sequence[str], change: Change) -> list[str]:
    return [change(text) for text in texts]


def _prepare(finder: Finder | None, visit: Callable[[Change], object]) -> None:
    """Let a finder that asks a service ask about all texts that `visit` visits at once."""
    if prepare := getattr(finder, "prepare", None):
        texts: list[str] = []

        def note(text: str) -> str:
            texts.append(text)
            return text

        visit(note)
        prepare(texts)
