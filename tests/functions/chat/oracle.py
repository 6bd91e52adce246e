"""The expected state of Parley, as simple lists of messages, and of turns identified by their questions."""

from dataclasses import dataclass, field
from itertools import count

from tests.fakes.provider import answer_pieces

SLOW_VERBS = ("pauses", "waits")
NUMBERS = count(1)


@dataclass
class ExpectedMessage:
    """A message with its variants as (text, status). One variant is active; only an answer has several."""

    role: str
    variants: list[tuple[str, str]]
    active: int = 0

    @property
    def text(self) -> str:
        return self.variants[self.active][0]

    def copied(self) -> "ExpectedMessage":
        """Return the message as a fork copies it: the active variant alone."""
        return ExpectedMessage(self.role, [self.variants[self.active]])


@dataclass(eq=False)
class ExpectedTurn:
    """A turn: its request, its status, and its text deltas in `pieces`."""

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
        """Return the text for a reader that has the events up to this number. The first event has no text."""
        return "".join(self.pieces[max(0, number - 1) :])


@dataclass(eq=False)
class ExpectedConversation:
    """A conversation: its messages, and its running turn."""

    id: str = ""
    messages: list[ExpectedMessage] = field(default_factory=list)
    running: ExpectedTurn | None = None
    exists: bool = True

    def history(self, upto: int | None = None) -> list[tuple[str, str]]:
        """Return the history as the model sees it, as (role, text)."""
        return [(message.role, message.text) for message in self.messages[:upto] if message.text]

    def last_question(self) -> int | None:
        """Return the index of the last question."""
        return next((number for number in reversed(range(len(self.messages))) if self.messages[number].role == "user"), None)

    def shown(self) -> list[tuple[int, int, str, str, str, bool]]:
        """Return every variant of every message, as the API lists them."""
        return [
            (seq, variant, message.role, text, status, variant == message.active)
            for seq, message in enumerate(self.messages, start=1)
            for variant, (text, status) in enumerate(message.variants)
        ]

    def end(self, turn: ExpectedTurn, status: str, pieces: list[str]) -> None:
        """Store the end of a turn: its answer follows its question. An answer without text replaces no earlier variant."""
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
        """Return a fork with the first `upto` messages."""
        return ExpectedConversation(messages=[message.copied() for message in self.messages[:upto]])


@dataclass
class Oracle:
    """All conversations and turns of a user, and the number of model calls for each question."""

    conversations: list[ExpectedConversation] = field(default_factory=list)
    turns: list[ExpectedTurn] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)

    def call(self, question: str) -> list[str]:
        """Count a model call, and return the text deltas of its answer."""
        self.calls[question] = self.calls.get(question, 0) + 1
        return list(answer_pieces(question, self.calls[question]))

    def is_slow(self, question: str) -> bool:
        """Whether the answer waits until it is released."""
        return question.rsplit(" ", 1)[0] in SLOW_VERBS and question not in self.released

    def forget(self, conversation: ExpectedConversation) -> None:
        """Delete a conversation with its turns."""
        conversation.exists = False
        self.conversations.remove(conversation)
        self.turns = [turn for turn in self.turns if turn.conversation is not conversation]


def outcome_of(question: str, pieces: list[str]) -> tuple[str, list[str]]:
    """Return status and text deltas of an undisturbed turn."""
    match question.rsplit(" ", 1)[0]:
        case "refuses":
            return "failed", []
        case "hangs up":
            return "interrupted", pieces[:1]
    return "completed", pieces
