"""What Parley must have stored, in the simplest words: lists of messages, and turns that are known by their questions."""

from dataclasses import dataclass, field
from itertools import count

from tests.fakes.provider import answer_pieces

SLOW_VERBS = ("pauses", "waits")
NUMBERS = count(1)


@dataclass
class ExpectedMessage:
    """A message: of an answer perhaps several variants, as (text, status), of which one counts."""

    role: str
    variants: list[tuple[str, str]]
    active: int = 0

    @property
    def text(self) -> str:
        return self.variants[self.active][0]

    def copied(self) -> "ExpectedMessage":
        """What a fork has of it."""
        return ExpectedMessage(self.role, [self.variants[self.active]])


@dataclass(eq=False)
class ExpectedTurn:
    """A turn that was taken: what was asked, and how it went. `pieces` are its texts as they came."""

    conversation: "ExpectedConversation"
    question: str
    body: dict
    route: str
    key: str | None
    expected: list[str]
    id: str = ""
    status: str = "running"
    pieces: list[str] = field(default_factory=list)
    answer: object = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def text_after(self, number: int) -> str:
        """What a reader is given who has the events up to this number: the first is no text."""
        return "".join(self.pieces[max(0, number - 1) :])


@dataclass(eq=False)
class ExpectedConversation:
    """One conversation."""

    id: str = ""
    messages: list[ExpectedMessage] = field(default_factory=list)
    running: ExpectedTurn | None = None
    exists: bool = True

    def history(self, upto: int | None = None) -> list[tuple[str, str]]:
        """What a model is given of it."""
        return [(message.role, message.text) for message in self.messages[:upto] if message.text]

    def last_question(self) -> int | None:
        """Where the last question is."""
        return next((number for number in reversed(range(len(self.messages))) if self.messages[number].role == "user"), None)

    def shown(self) -> list[tuple[int, int, str, str, str, bool]]:
        """Every variant of every message, as the API lists them."""
        return [
            (seq, variant, message.role, text, status, variant == message.active)
            for seq, message in enumerate(self.messages, start=1)
            for variant, (text, status) in enumerate(message.variants)
        ]

    def end(self, turn: ExpectedTurn, status: str, pieces: list[str]) -> None:
        """Store how a turn went: its answer stands behind its question; one without a word takes nothing's place."""
        turn.status, turn.pieces, self.running = status, pieces, None
        if status == "failed":
            return
        behind = (self.last_question() or 0) + 1
        if behind == len(self.messages):
            self.messages.append(ExpectedMessage("assistant", []))
        message = self.messages[behind]
        message.variants.append((turn.text, status))
        if turn.text or len(message.variants) == 1:
            message.active = len(message.variants) - 1

    def fork(self, upto: int) -> "ExpectedConversation":
        """Begin another one as this did."""
        return ExpectedConversation(messages=[message.copied() for message in self.messages[:upto]])


@dataclass
class Oracle:
    """All conversations and turns of a user, and how often each question was put to a model."""

    conversations: list[ExpectedConversation] = field(default_factory=list)
    turns: list[ExpectedTurn] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)

    def call(self, question: str) -> list[str]:
        """Count a call; return the pieces of the answer that it would give."""
        self.calls[question] = self.calls.get(question, 0) + 1
        return list(answer_pieces(question, self.calls[question]))

    def is_slow(self, question: str) -> bool:
        """Whether the answer waits until it is released."""
        return question.rsplit(" ", 1)[0] in SLOW_VERBS and question not in self.released

    def forget(self, conversation: ExpectedConversation) -> None:
        """Delete a conversation, and all that was about it."""
        conversation.exists = False
        self.conversations.remove(conversation)
        self.turns = [turn for turn in self.turns if turn.conversation is not conversation]


def outcome_of(question: str, pieces: list[str]) -> tuple[str, list[str]]:
    """How a turn goes that nobody disturbs."""
    match question.rsplit(" ", 1)[0]:
        case "refuses":
            return "failed", []
        case "hangs up":
            return "interrupted", pieces[:1]
    return "completed", pieces
