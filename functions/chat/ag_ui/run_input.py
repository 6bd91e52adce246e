"""AG-UI's request `RunAgentInput`, as far as a turn reads it (https://docs.ag-ui.com/spec/1.0/basic/run-input).

The newest message is the question: the conversation has the history, so earlier messages are not read.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID, uuid5

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from functions.chat.form_schemas import FormAnswersIn
from functions.chat.schemas import MAX_TOOLS, DocumentSelection
from functions.chat.turn.approvals import Decision
from functions.chat.turn.images import MAX_IMAGES
from functions.chat.turn.question import MAX_MESSAGE_CHARACTERS, Question
from parley.errors import InvalidInput
from parley.http.schemas import ForgivingInput, Input
from parley.llm.messages import Image

# Of the conversations that clients name.
_NAMESPACE = UUID("6f1a2c0e-5d0b-4a53-9b0e-6a1f2f6a7c11")
# The versions of the ids that Parley gives to conversations: new and imported ones, and those of threads.
_OWN_VERSIONS = (5, 7)


class AgUiInput(ForgivingInput):
    """A part of the request. Unknown fields are ignored, as the protocol demands, and may contain any character."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel)


class AgUiMessageIn(AgUiInput):
    """A message of the thread, of any role."""

    role: Annotated[str, Field(max_length=100, examples=["user"])]
    content: Annotated[str | list[dict[str, Any]] | dict[str, Any] | None, Field(examples=["What is new?"])] = None


class ApprovalPayloadIn(AgUiInput):
    """The answer to an interrupt with the reason `approval`."""

    approve: bool


class AnswersPayloadIn(AgUiInput):
    """The answer to an interrupt with the reason `input`. Null declines the question."""

    answers: FormAnswersIn | None


class ResumeEntryIn(AgUiInput):
    """The answer to one interrupt. `cancelled` denies the call, or declines the question."""

    interrupt_id: Annotated[str, Field(min_length=1, max_length=1000)]
    status: Literal["resolved", "cancelled"]
    payload: ApprovalPayloadIn | AnswersPayloadIn | None = None


class RunOptionsIn(Input):
    """The options of `POST /chat` that `forwardedProps.parley` may have."""

    model: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    tools: bool | Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=MAX_TOOLS)] = True
    documents: DocumentSelection = False
    questions: bool = False


class ForwardedPropsIn(AgUiInput):
    """Values for this server. Those of other programs are ignored."""

    parley: RunOptionsIn = Field(default_factory=RunOptionsIn)


def _object_or_none(value: object) -> object:
    """AG-UI allows any JSON here."""
    return value if isinstance(value, dict | ForwardedPropsIn) else {}


class RunAgentIn(AgUiInput):
    """The body of POST /chat/ag-ui: `RunAgentInput` of AG-UI."""

    thread_id: Annotated[str, Field(min_length=1, max_length=255, examples=["thread_1"])]
    run_id: Annotated[str, Field(min_length=1, max_length=255, examples=["run_1"])]
    messages: Annotated[list[AgUiMessageIn], Field(examples=[[{"role": "user", "content": "What is new?"}]])]
    forwarded_props: Annotated[ForwardedPropsIn, BeforeValidator(_object_or_none)] = Field(default_factory=ForwardedPropsIn)
    resume: Annotated[list[ResumeEntryIn], Field(max_length=100)] | None = None

    @property
    def conversation_id(self) -> UUID:
        """The thread's conversation: the thread's id if it is one of Parley's, else an id that is always the same for this thread."""
        return self._own_id or uuid5(_NAMESPACE, self.thread_id)

    @property
    def _own_id(self) -> UUID | None:
        try:
            id = UUID(self.thread_id)
        except ValueError:
            return None
        return id if id.version in _OWN_VERSIONS else None

    def question(self, *, may_ask: bool) -> Question:
        """Return the newest message as a question. A thread that the client has named is opened by its first question.

        Raises InvalidInput.
        """
        options = self.forwarded_props.parley
        text, images = self._newest()
        return Question(
            text,
            self.conversation_id,
            opens_conversation=self._own_id is None,
            model=options.model,
            tools=options.tools,
            documents=options.documents,
            attached=images,
            asks_user=options.questions and may_ask,
        )

    def decisions(self, turn_id: UUID) -> Iterator[Decision]:
        """Yield the answers to the interrupts of a turn. Raises InvalidInput."""
        for place, entry in enumerate(self.resume or []):
            match entry.payload:
                case _ if entry.status == "cancelled":
                    yield Decision(turn_id, entry.interrupt_id, is_approved=False)
                case ApprovalPayloadIn(approve=approve):
                    yield Decision(turn_id, entry.interrupt_id, is_approved=approve)
                case AnswersPayloadIn(answers=answers):
                    yield Decision(turn_id, entry.interrupt_id, is_approved=answers is not None, answers=answers)
                case None:
                    raise InvalidInput("must be the answer to the interrupt", loc=("body", "resume", place, "payload"))

    def _newest(self) -> tuple[str, Sequence[Image]]:
        loc = ("body", "messages", len(self.messages) - 1)
        if not self.messages or self.messages[-1].role != "user":
            raise InvalidInput("the last message must be the user's", loc=("body", "messages"))
        content = self.messages[-1].content
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        images = [_image(part, (*loc, "content", place)) for place, part in enumerate(parts) if part.get("type") != "text"]
        text = "\n".join(str(part.get("text") or "") for part in parts if part.get("type") == "text")
        if not 0 < len(text) <= MAX_MESSAGE_CHARACTERS:
            raise InvalidInput(f"must contain text of at most {MAX_MESSAGE_CHARACTERS} characters", loc=(*loc, "content"))
        if len(images) > MAX_IMAGES:
            raise InvalidInput(f"must contain at most {MAX_IMAGES} images", loc=(*loc, "content"))
        return text, images


def _image(part: dict[str, Any], loc: tuple[str | int, ...]) -> Image:
    match part:
        case {"type": "image", "source": {"type": "data", "value": str() as value, "mimeType": str() as media_type}}:
            url = f"data:{media_type};base64,{value}"
        case {"type": "image", "source": {"type": "url", "value": str() as url}}:
            pass
        case _:
            raise InvalidInput("must be text, or an image as data", loc=loc)
    try:
        return Image.from_data_url(url)
    except InvalidInput as exc:
        raise InvalidInput(f"{exc.errors[0]['msg']}", loc=loc) from exc
