"""Compares the records of a run: the clients' answers, the database, the vendor's books, the queues and the files.

Each function returns a sentence for each promise that was broken. The functions know nothing of the running stack, so that
tests can give them broken records.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from tests.chaos.vendor import QUESTION

ENDED = {"completed", "stopped", "interrupted", "failed"}
FUNCTION_LOST = "function_lost"


@dataclass(frozen=True)
class TurnRow:
    """A stored turn: its question's key, its answer, the events that end its log, and the (input, output, is_estimate) of its charges."""

    key: str
    user_id: str
    status: str
    error_code: str | None
    question: str
    answer: str
    logged: str
    endings: int
    charges: list[tuple[int, int, bool]]


@dataclass(frozen=True)
class Records:
    """What the database, the queues and the file store have in the end."""

    turns: list[TurnRow] = field(default_factory=list)
    # How often each text of a question is stored as a message.
    questions: Counter = field(default_factory=Counter)
    # (last number, numbers in order, has a title, has a completed turn) of each conversation.
    conversations: list[tuple[int, list[int], bool, bool]] = field(default_factory=list)
    # (budget subject, spent, charged, reserved)
    budgets: list[tuple[str, Decimal, Decimal, Decimal]] = field(default_factory=list)
    # (owner, id, status, chunks counted, chunks stored)
    documents: list[tuple[str, str, str, int, int]] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    # Names of rows and messages that wait for a worker, with their number.
    waiting: dict[str, int] = field(default_factory=dict)


def broken_promises(clients, books, records):
    """Return all broken promises, grouped by kind."""
    turns = {turn.key: turn for turn in records.turns}
    found = defaultdict(list)
    for kind, sentence in (
        *doubled_turns(records),
        *(each for request in clients.questions for each in broken_question(request, turns.get(request.key), records)),
        *(each for turn in records.turns for each in broken_turn(turn, books.get(turn.key, []))),
        *broken_conversations(records),
        *broken_budgets(records),
        *broken_documents(clients, records),
        *((kind, sentence) for kind, sentence in stuck_work(records)),
    ):
        found[kind].append(sentence)
    return dict(found)


def doubled_turns(records):
    """Yield keys that have several turns."""
    for key, number in Counter(turn.key for turn in records.turns).items():
        if number > 1:
            yield "doubled", f"{key} has {number} turns"


def broken_question(request, turn, records):
    """Yield how a client's question and answer differ from the stored turn."""
    key = request.key
    if request.answer is None:
        yield "stuck", f"{key}: never answered, the last attempts were {request.codes[-3:]}"
        return
    if turn is None:
        if request.answer.status == 200:
            yield "lost", f"{key}: answered ({request.ending}), but no turn is stored"
        return
    if (stored := records.questions[turn.question]) != 1:
        yield ("lost" if stored == 0 else "doubled"), f"{key}: the question is stored {stored} times"
    if request.text != turn.answer and not is_shortened(request, turn):
        yield "lost", f"{key} ({turn.status}, {turn.error_code}): the client has {request.text!r}, stored is {turn.answer!r}"


def is_shortened(request, turn):
    """Whether the turn was ended for its worker, which loses the text since the last heartbeat, as documented."""
    return turn.error_code == FUNCTION_LOST and request.text.startswith(turn.answer)


def broken_turn(turn, lines):
    """Yield how a turn differs from its event log and from the vendor's books."""
    if turn.status not in ENDED:
        yield "stuck", f"{turn.key} is {turn.status}"
        return
    if turn.endings != 1:
        yield ("lost" if turn.endings == 0 else "doubled"), f"{turn.key}: its log has {turn.endings} endings"
    if turn.logged != turn.answer:
        yield "lost", f"{turn.key} ({turn.status}): logged is {turn.logged!r}, stored is {turn.answer!r}"
    yield from broken_charges(turn, lines)


def broken_charges(turn, lines):
    """Yield how the charges of a turn differ from the vendor's books.

    A worker that is killed between its first transaction and its call of the vendor leaves one estimated charge without a call.
    """
    if len(turn.charges) > max(len(lines), 1):
        yield "charged twice", f"{turn.key} ({turn.status}): {len(turn.charges)} charges for {len(lines)} calls"
    if turn.status == "completed" and len(turn.charges) < len(lines):
        yield "lost", f"{turn.key}: {len(turn.charges)} charges for {len(lines)} calls"
    reported = Counter(line.tokens for line in lines if line.tokens)
    # A call that the vendor refused costs nothing.
    stored = Counter((sent, received) for sent, received, is_estimate in turn.charges if (sent or received) and not is_estimate)
    for tokens in (stored - reported).elements():
        yield "charged twice", f"{turn.key}: a charge of {tokens} tokens, which the vendor has {dict(reported)}"
    if turn.status == "completed" and (not lines or lines[-1].text != turn.answer):
        yield "lost", f"{turn.key}: the vendor's last answer is {lines[-1:]}, stored is {turn.answer!r}"


def broken_conversations(records):
    """Yield conversations with gaps, and those that never got a title."""
    for last, numbers, has_title, has_answer in records.conversations:
        if numbers != list(range(1, last + 1)):
            yield "lost", f"a conversation of {last} messages has the numbers {numbers}"
        if has_answer and not has_title:
            yield "stuck", "a conversation has no title"


def broken_budgets(records):
    """Yield budgets that have not spent what the ledger says, or that still reserve something."""
    for subject, spent, charged, reserved in records.budgets:
        if spent != charged:
            yield ("charged twice" if spent > charged else "lost"), f"the budget {subject} spent {spent}, the ledger says {charged}"
        if reserved:
            yield "stuck", f"the budget {subject} still reserves {reserved}"


def broken_documents(clients, records):
    """Yield documents without file, files without document, and documents that are not searchable."""
    known = {id: (owner, status) for owner, id, status, _, _ in records.documents}
    keys = {f"documents/{owner}/{id}" for id, (owner, _) in known.items()}
    for request in clients.uploads:
        if request.answer is None:
            yield "stuck", f"{request.key}: never accepted, the last attempts were {request.codes[-3:]}"
        elif request.answer.status == 202 and request.answer.json["id"] not in {*known, *clients.deletions}:
            yield "lost", f"{request.key}: accepted, but not stored"
    for id in set(clients.deletions) & set(known):
        yield "stuck", f"the document {id} was deleted and is still stored"
    for _, id, status, counted, stored in records.documents:
        if status not in ("ready", "failed"):
            yield "stuck", f"the document {id} is {status}"
        if status == "ready" and counted != stored:
            yield ("lost" if stored < counted else "doubled"), f"the document {id} has {stored} of {counted} chunks"
    for key in keys - records.files:
        yield "lost", f"the file {key} is missing"
    for key in {key for key in records.files if key.startswith("documents/")} - keys:
        yield "stuck", f"the file {key} belongs to no document"


def stuck_work(records):
    """Yield rows and messages that still wait."""
    for name, number in records.waiting.items():
        if number:
            yield "stuck", f"{number} {name}"


def key_of(question):
    """Return the key that a question ends with, None if it has none."""
    found = QUESTION.findall(question or "")
    return found[-1] if found else None
