"""Convert requests of the Responses API to LLM requests."""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import assert_never

from functions.chat.completions.opaque_content import unpack_summary, unpack_thought
from functions.chat.completions.schemas import RefusalPartIn
from functions.chat.responses_api.free_form import free_form_arguments
from functions.chat.responses_api.input_items import (
    CallOutputItemIn,
    CompactionItemIn,
    ContentIn,
    CustomCallItemIn,
    FunctionCallItemIn,
    InputImageIn,
    InputItem,
    InputTextIn,
    ItemReferenceIn,
    MessageItemIn,
    ReasoningItemIn,
    WebSearchItemIn,
)
from functions.chat.responses_api.schemas import ResponseIn
from functions.chat.responses_api.tools import ClientTools, qualified_name
from parley.errors import InvalidInput
from parley.llm import messages as llm

_SYSTEM_ROLES = ("system", "developer")
_SUMMARY = "The summary of the conversation so far:"
_IMAGES_OF_OUTPUTS = "The images in the output of the tools:"

type Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class ConversationItems:
    """The items of stored responses that a request continues, and those of its own input."""

    earlier: Sequence[InputItem]
    items: Sequence[InputItem]


def to_request(body: ResponseIn, tools: ClientTools, conversation: ConversationItems) -> llm.ModelRequest:
    """Convert a request whose items are those of `conversation`. Raises InvalidInput, as `to_messages` does."""
    system, messages = _split_system(to_messages(conversation))
    instructions = "\n\n".join(filter(None, [body.instructions, *system]))
    if not messages and not system:
        raise InvalidInput("the input must contain a message", loc=("body", "input"))
    if not messages:  # some clients send their question as the system message
        instructions, messages = "", [llm.Message("user", instructions)]
    return llm.ModelRequest(
        messages,
        system=instructions or None,
        max_output_tokens=body.max_output_tokens,
        temperature=body.temperature,
        tools=tools.definitions,
        tool_choice=tools.choice,
        client_runs_tools=True,
        shows_reasoning=True,
        shows_call_deltas=bool(body.stream),
        options=body.options(),
        output=body.output(),
    )


def to_messages(conversation: ConversationItems) -> list[llm.Message]:
    """Convert the items, without calls that broke off and have no output.

    Raises InvalidInput if outputs of tools do not match the calls before them, or a part cannot be read.
    """
    outputs = (item for item in (*conversation.earlier, *conversation.items) if isinstance(item, CallOutputItemIn))
    transcript = Transcript({output.call_id for output in outputs})
    transcript.extend(conversation.earlier, ("body", "previous_response_id"))
    transcript.extend(conversation.items, ("body", "input"))
    return transcript.finish(("body", "input"))


def _split_system(messages: Sequence[llm.Message]) -> tuple[list[str], list[llm.Message]]:
    """Return the texts of the system messages at the beginning, and the messages after them."""
    first = next((index for index, message in enumerate(messages) if message.role != "system"), len(messages))
    return [message.text for message in messages[:first]], list(messages[first:])


class Transcript:
    """Joins items to messages: calls, text and reasoning to an answer, and outputs of tools to one message of the role `tool`."""

    def __init__(self, answered: Set[str]) -> None:
        """Begin with no message. `answered` has the ids of the calls that have an output."""
        self._answered = answered
        self._messages: list[llm.Message] = []
        self._answer: list[llm.Part] = []
        self._reasoning: list[str] = []
        self._results: list[llm.ToolResult] = []
        self._images: list[llm.Part] = []
        self._unanswered: set[str] = set()

    def extend(self, items: Iterable[InputItem], loc: Location) -> None:
        """Add items in their order. `loc` is the field that contains them. Raises InvalidInput."""
        for index, item in enumerate(items):
            self._add(item, (*loc, index))

    def finish(self, loc: Location) -> list[llm.Message]:
        """Return the messages. Raises InvalidInput if a call has no output."""
        self._end_answer()
        self._end_results()
        self._require_outputs(loc)
        return self._messages

    def _add(self, item: InputItem, loc: Location) -> None:
        match item:
            case MessageItemIn(role="assistant"):
                self._begin_answer(loc)
                self._answer.extend(_parts(item.content, (*loc, "content"), may_have_images=False))
            case MessageItemIn():
                self._add_message(item, loc)
            case ReasoningItemIn():
                self._begin_answer(loc)
                self._add_reasoning(item)
            case FunctionCallItemIn(status="incomplete") | CustomCallItemIn(status="incomplete") if item.call_id not in self._answered:
                pass
            case FunctionCallItemIn():
                self._begin_answer(loc)
                name = qualified_name(item.name, item.namespace)
                # As the model wrote them: arguments that are not JSON, too, because the client may have told the model so.
                self._answer.append(llm.ToolCall(item.call_id, name, item.arguments or "{}"))
            case CustomCallItemIn():
                self._begin_answer(loc)
                name = qualified_name(item.name, item.namespace)
                self._answer.append(llm.ToolCall(item.call_id, name, free_form_arguments(item.input)))
            case CallOutputItemIn():
                self._add_output(item, loc)
            case CompactionItemIn():
                self._add_summary(item, loc)
            case WebSearchItemIn():
                pass
            case ItemReferenceIn():  # `stored_responses` replaces the references to items that it finds
                raise InvalidInput("there is no such item", loc=(*loc, "id"))
            case _:
                assert_never(item)

    def _add_message(self, item: MessageItemIn, loc: Location) -> None:
        self._end_answer()
        self._end_results()
        if item.role in _SYSTEM_ROLES:
            parts = _parts(item.content, (*loc, "content"), may_have_images=False)
            self._messages.append(llm.Message("system", list(parts)))
            return
        self._require_outputs(loc)
        self._messages.append(llm.Message("user", list(_parts(item.content, (*loc, "content"), may_have_images=True))))

    def _add_reasoning(self, item: ReasoningItemIn) -> None:
        self._reasoning.extend(part.text for part in item.summary or item.content or ())
        if item.encrypted_content and (thought := unpack_thought(item.encrypted_content)):
            self._answer.append(thought)

    def _add_output(self, item: CallOutputItemIn, loc: Location) -> None:
        self._end_answer()
        if item.call_id not in self._unanswered:
            raise InvalidInput("must be the id of an unanswered call in the items before", loc=(*loc, "call_id"))
        self._unanswered.discard(item.call_id)
        parts = list(_parts(item.output, (*loc, "output"), may_have_images=True))
        self._results.append(llm.ToolResult(item.call_id, "".join(part.text for part in parts if isinstance(part, llm.Text))))
        self._images.extend(part for part in parts if isinstance(part, llm.Image))

    def _add_summary(self, item: CompactionItemIn, loc: Location) -> None:
        if (summary := unpack_summary(item.encrypted_content)) is None:
            raise InvalidInput("must be the content of a compaction item of this server", loc=(*loc, "encrypted_content"))
        self._add_message(MessageItemIn(role="user", content=f"{_SUMMARY}\n\n{summary}"), loc)

    def _begin_answer(self, loc: Location) -> None:
        if self._results:
            self._end_results()
            self._require_outputs(loc)

    def _end_answer(self) -> None:
        """Add the answer as a message, unless it is reasoning alone, which no vendor takes."""
        if not all(isinstance(part, llm.Thought) for part in self._answer):
            self._messages.append(llm.Message("assistant", self._answer, reasoning="\n\n".join(self._reasoning) or None))
            self._unanswered |= {part.id for part in self._answer if isinstance(part, llm.ToolCall)}
        self._answer, self._reasoning = [], []

    def _end_results(self) -> None:
        """Add the outputs as a message, and their images as the user's, because most vendors take only text from a tool."""
        if self._results:
            self._messages.append(llm.Message("tool", self._results))
        if self._images:
            self._messages.append(llm.Message("user", [llm.Text(_IMAGES_OF_OUTPUTS), *self._images]))
        self._results, self._images = [], []

    def _require_outputs(self, loc: Location) -> None:
        if self._unanswered:
            msg = f"these calls have no output: {', '.join(sorted(self._unanswered))}"
            raise InvalidInput(msg, loc=loc, evidence=f"{len(self._unanswered)} calls have no output")


def _parts(content: str | ContentIn, loc: Location, *, may_have_images: bool) -> Iterator[llm.Part]:
    if isinstance(content, str):
        yield llm.Text(content)
        return
    for index, part in enumerate(content):
        match part:
            case InputTextIn():
                yield llm.Text(part.text)
            case RefusalPartIn():
                yield llm.Text(part.refusal)
            case InputImageIn() if not may_have_images:
                raise InvalidInput("only user messages and outputs of tools may have images", loc=(*loc, index))
            case InputImageIn():
                yield _image(part, (*loc, index))


def _image(part: InputImageIn, loc: Location) -> llm.Image:
    try:
        return llm.Image.from_data_url(part.image_url, detail=part.detail or "auto")
    except InvalidInput as exc:
        raise InvalidInput(str(exc.errors[0]["msg"]), loc=(*loc, "image_url")) from exc
