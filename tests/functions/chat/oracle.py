"""What Parley must have stored, in the simplest words: lists of messages, and turns that are known by their questions."""

from dataclasses import dataclass, field
from itertools import count

from tests.fakes.parrot import said

SLOW = ("pauses", "waits")
NUMBERS = count(1)


@dataclass
class Place:
    """A message: of an answer perhaps several variants, as (text, status), of which one counts."""

    role: str
    variants: list[tuple[str, str]]
    active: int = 0

    @property
    def text(self) -> str:
        return self.variants[self.active][0]

    def copied(self) -> "Place":
        """What a fork has of it."""
        return Place(self.role, [self.variants[self.active]])


@dataclass(eq=False)
class Turn:
    """A turn that was taken: what was asked, and how it went. `pieces` are its texts as they came."""

    conversation: "Conversation"
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

    def text_behind(self, number: int) -> str:
        """What a reader is given who has the events up to this number: the first is no text."""
        return "".join(self.pieces[max(0, number - 1) :])


@dataclass(eq=False)
class Conversation:
    """One conversation."""

    id: str = ""
    places: list[Place] = field(default_factory=list)
    running: Turn | None = None
    is_there: bool = True

    def spoken(self, upto: int | None = None) -> list[tuple[str, str]]:
        """What a model is given of it."""
        return [(place.role, place.text) for place in self.places[:upto] if place.text]

    def last_question(self) -> int | None:
        """Where the last question is."""
        return next((number for number in reversed(range(len(self.places))) if self.places[number].role == "user"), None)

    def shown(self) -> list[tuple[int, int, str, str, str, bool]]:
        """Every variant of every message, as the API lists them."""
        return [
            (seq, variant, place.role, text, status, variant == place.active)
            for seq, place in enumerate(self.places, start=1)
            for variant, (text, status) in enumerate(place.variants)
        ]

    def end(self, turn: Turn, status: str, pieces: list[str]) -> None:
        """Store how a turn went: its answer stands behind its question; one without a word takes nothing's place."""
        turn.status, turn.pieces, self.running = status, pieces, None
        if status == "failed":
            return
        behind = (self.last_question() or 0) + 1
        if behind == len(self.places):
            self.places.append(Place("assistant", []))
        place = self.places[behind]
        place.variants.append((turn.text, status))
        if turn.text or len(place.variants) == 1:
            place.active = len(place.variants) - 1

    def fork(self, upto: int) -> "Conversation":
        """Begin another one as this did."""
        return Conversation(places=[place.copied() for place in self.places[:upto]])


@dataclass
class Oracle:
    """All conversations and turns of a user, and how often each question was put to a model."""

    conversations: list[Conversation] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)

    def call(self, question: str) -> list[str]:
        """Count a call; return the pieces of the answer that it would give."""
        self.calls[question] = self.calls.get(question, 0) + 1
        return list(said(question, self.calls[question]))

    def is_slow(self, question: str) -> bool:
        """Whether the answer waits until it is released."""
        return question.rsplit(" ", 1)[0] in SLOW and question not in self.released

    def forget(self, conversation: Conversation) -> None:
        """Delete a conversation, and all that was about it."""
        conversation.is_there = False
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
