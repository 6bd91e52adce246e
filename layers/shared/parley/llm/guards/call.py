"""One guarded call: the request without what the vendor must not receive, and the answer without what the reader must not see.

Only the newest message of a user's chat can be refused. Everywhere else (older messages, documents, tool results, memory, prompts,
background work) a blocked text is replaced instead: a conversation stays usable after a refused message, and a job does not fail for ever.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Literal, cast

from parley.llm.errors import GuardBlocked
from parley.llm.guards.personal_data import PersonalDataFinder
from parley.llm.guards.spans import Finder, Found, ReplacedText, TextSpan, TextStream, replace_all
from parley.llm.guards.words import WordFinder
from parley.llm.messages import (
    Message,
    ModelEvent,
    ModelRequest,
    OutputSchema,
    Part,
    ReasoningDelta,
    Source,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolDefinition,
    ToolResult,
)
from parley.llm.model import GuardAction, GuardHit, GuardSettings

REMOVED = "[removed]"
_PLACEHOLDER = re.compile(r"\[[A-Z_]{1,32}_\d{1,6}\]")
_OPEN_PLACEHOLDER = re.compile(r"\[[A-Z_]{0,33}\d{0,6}\Z")
_MAX_PLACEHOLDER = 42

type Place = Literal["request", "answer"]
type Change = Callable[[str], str]
# "text", "refusal", "reasoning", or the number of a tool call.
type Channel = str | int


@dataclass(frozen=True, slots=True)
class Guard:
    """A configured guard: its name, how it finds its spans, and what happens to them."""

    name: str
    finder: Finder
    action: GuardAction
    in_answers: bool
    has_placeholders: bool


@lru_cache(maxsize=32)
def guards_of(settings: GuardSettings) -> tuple[Guard, ...]:
    """Return the guards that the settings name, in the order in which they read a text."""
    guards: list[Guard] = []
    if words := settings.words:
        guards.append(Guard("words", WordFinder(words.words), words.action, in_answers=True, has_placeholders=False))
    if personal := settings.personal_data:
        finder = PersonalDataFinder(personal.kinds)
        guards.append(Guard("personal_data", finder, personal.action, in_answers=personal.in_answers, has_placeholders=True))
    return tuple(guards)


class GuardedCall:
    """The guards' work on one call of a model: `guard_request`, then `guard_event` for each event. `hits` says what they found."""

    def __init__(self, settings: GuardSettings, task: str) -> None:
        self._guards, self._is_chat = guards_of(settings), task == "chat"
        self._restores = settings.personal_data is not None and settings.personal_data.restores
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
        """Return the request as the vendor may receive it. Raises GuardBlocked."""
        newest = len(request.messages) - 1 if self._is_chat else None
        change = self.changed
        return replace(
            request,
            messages=[self._guarded_message(message, is_newest=index == newest) for index, message in enumerate(request.messages)],
            system=request.system and change(request.system),
            tools=[_changed_tool(tool, change) for tool in request.tools],
            output=request.output and _changed_output(request.output, change),
            facts=[change(fact) for fact in request.facts],
            passages=[change(passage) for passage in request.passages],
            sources=[Source(source.number, change(source.title), change(source.text)) for source in request.sources],
        )

    def changed(self, text: str, *, may_block: bool = False) -> str:
        """Return a text of the request with its spans replaced. Raises GuardBlocked if `may_block`."""
        for guard in self._guards:
            text = replace_all(guard.finder, text, partial(self._replace, guard, "request", may_block=may_block))
        return text

    def guard_event(self, event: ModelEvent) -> Iterator[ModelEvent]:
        """Yield the events that may be passed on once `event` has arrived. Raises GuardBlocked."""
        match event:
            case TextDelta(text, is_refusal):
                yield from self._pieces("refusal" if is_refusal else "text", text, lambda text: TextDelta(text, is_refusal))
            case ReasoningDelta(text):
                yield from self._pieces("reasoning", text, ReasoningDelta)
            case ToolCallDelta(index, id, name, arguments):
                yield from self._flushed(lambda channel: isinstance(channel, str))
                if not arguments:
                    yield event
                yield from self._pieces(index, arguments, lambda text: ToolCallDelta(index, id, name, text))
            case ToolCall(id, name, arguments):
                yield from self._flushed()
                yield ToolCall(id, name, changed_json(arguments, self._changed_answer))
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
            ReplacedText(guard.finder, partial(self._replace, guard, "answer", may_block=True, counts=not is_json))
            for guard in self._guards
            if guard.in_answers
        ]
        if self._restores and self._originals:
            streams.append(ReplacedText(PlaceholderFinder(), lambda _span, text: self._restored(text, is_json=is_json)))
        return Chain(streams)

    def _changed_answer(self, text: str) -> str:
        stream = self._answer_stream(is_json=False)
        return stream.feed(text) + stream.rest()

    def _guarded_message(self, message: Message, *, is_newest: bool) -> Message:
        change = partial(self.changed, may_block=is_newest and message.role == "user")
        content = change(message.content) if isinstance(message.content, str) else [_changed_part(part, change) for part in message.content]
        # A name takes no placeholder, because vendors limit its characters.
        name = message.name if message.name and change(message.name) == message.name else None
        return Message(message.role, content, name, message.reasoning and change(message.reasoning))

    def _replace(self, guard: Guard, place: Place, span: TextSpan, text: str, *, may_block: bool, counts: bool = True) -> str:
        action = guard.action
        if action == "block" and not (may_block and self._is_chat):
            action = "mask"
        if counts or action == "block":
            self._counts[guard.name, span.kind, action, place] += 1
        if action == "block":
            raise GuardBlocked(guard.name, place=place)
        if action == "report":
            return text
        return self._placeholder(span.kind, text) if guard.has_placeholders and place == "request" else REMOVED

    def _placeholder(self, kind: str, text: str) -> str:
        if (kind, text) not in self._placeholders:
            self._numbers[kind] += 1
            placeholder = f"[{kind.upper()}_{self._numbers[kind]}]"
            self._placeholders[kind, text], self._originals[placeholder] = placeholder, text
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


def changed_json(text: str, change: Change) -> str:
    """Return a JSON text with its strings changed: escapes would hide a word. A text that is not JSON is changed as it is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return change(text)
    changed = _changed_value(value, change)
    return text if changed == value else json.dumps(changed, ensure_ascii=False)


def _changed_value(value: object, change: Change) -> object:
    match value:
        case str():
            return change(value)
        case list():
            return [_changed_value(item, change) for item in value]
        case dict():
            return {change(str(key)): _changed_value(item, change) for key, item in value.items()}
    return value


def _changed_part(part: Part, change: Change) -> Part:
    match part:
        case Text(text):
            return Text(change(text))
        case ToolCall(id, name, arguments):
            return ToolCall(id, name, changed_json(arguments, change))
        case ToolResult(call_id, text, is_error):
            return ToolResult(call_id, change(text), is_error)
    return part


def _changed_tool(tool: ToolDefinition, change: Change) -> ToolDefinition:
    parameters = cast("Mapping[str, object]", _changed_value(dict(tool.parameters), change))
    return replace(tool, description=change(tool.description), parameters=parameters)


def _changed_output(output: OutputSchema, change: Change) -> OutputSchema:
    return replace(output, schema=cast("Mapping[str, object]", _changed_value(dict(output.schema), change)))
