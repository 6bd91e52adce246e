"""Mining: what is new in a conversation is read for facts and cut into passages, piece by piece."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from functions.summarize import facts
from functions.summarize.desk import Desk
from functions.summarize.facts import Fact
from functions.summarize.reading import LAST_VARIANT, lines_after
from parley.db import conversations, messages, passages
from parley.db.messages import MessageCursor, StoredMessage
from parley.db.transactions import user_scope
from parley.deadline import Deadline
from parley.llm.router import Candidate
from parley.llm.tokens import estimate_tokens
from parley.memory.passages import Passage, split_into_passages
from parley.metering.completion import max_prompt_tokens, model_candidates
from parley.metering.limits import BillingSubject

PIECE_TOKENS = 6000


@dataclass(frozen=True, slots=True)
class Find:
    """What one piece of a conversation holds; the passages begin at message `first_seq`, before it, where one was still open."""

    first_seq: int
    upto_seq: int
    facts: Sequence[Fact]
    pieces: Sequence[Passage]


def mine(services: Desk, conversation_id: UUID, *, user_id: UUID, upto_seq: int, deadline: Deadline) -> None:
    """Read the conversation up to message `upto_seq`; facts, passages and how far it was read are stored together.

    Raises NotFound, and what `ask` raises; what has been stored stays.
    """
    models = model_candidates(services, "facts", user_id=user_id)
    while _mine_on(services, models, conversation_id, user_id=user_id, upto_seq=upto_seq, deadline=deadline):
        pass


def _mine_on(
    services: Desk, models: Sequence[Candidate], conversation_id: UUID, *, user_id: UUID, upto_seq: int, deadline: Deadline
) -> bool:
    """Read one piece more; False if there is none, or the user does not want it any more."""
    room = min(max_prompt_tokens(models, answer_tokens=facts.ANSWER_TOKENS) - estimate_tokens(facts.PROMPT), PIECE_TOKENS)
    with user_scope(services.engine, user_id) as connection:
        mined = conversations.extraction_progress(connection, conversation_id, user_id=user_id)
        after_seq = mined.upto_seq if mined.is_allowed else upto_seq
        said = lines_after(connection, conversation_id, user_id=user_id, after_seq=after_seq, upto_seq=upto_seq, budget_tokens=room)
        if not said:
            return False
        upto = said[-1].line.seq
        first_seq, open_ones = _open(connection, conversation_id, user_id=user_id, upto_seq=upto)
    found = facts.extract(services, models, said, user_id=user_id, deadline=deadline)
    return _store(services, conversation_id, Find(first_seq, upto, found, split_into_passages(open_ones)), user_id=user_id)


def _open(connection: Connection, conversation_id: UUID, *, user_id: UUID, upto_seq: int) -> tuple[int, list[StoredMessage]]:
    """Return where the passages are to be cut from, and the messages from there on."""
    first_seq = passages.next_start_seq(connection, conversation_id, user_id=user_id)
    of = (connection, conversation_id)
    found = messages.page(
        *of, user_id=user_id, order="asc", after=MessageCursor(first_seq - 1, LAST_VARIANT), limit=max(upto_seq - first_seq + 1, 0)
    )
    return first_seq, found


def _store(services: Desk, conversation_id: UUID, find: Find, *, user_id: UUID) -> bool:
    """Store what was found, with its vectors if there are any; nothing where another run, or the user's word, came first."""
    texts = [*(fact.text for fact in find.facts), *(piece.text for piece in find.pieces)]
    vectors = services.embedding.try_vectors(texts, billing_subject=BillingSubject(user_id)) if texts else []
    of_facts, of_pieces = (vectors[: len(find.facts)], vectors[len(find.facts) :]) if vectors is not None else (None, None)
    with user_scope(services.engine, user_id) as connection:
        # First: it locks the conversation, and tells whether another run has read this piece, or the user has thought again.
        if not passages.replace_from(
            connection,
            conversation_id,
            user_id=user_id,
            first_seq=find.first_seq,
            upto_seq=find.upto_seq,
            pieces=find.pieces,
            vectors=of_pieces,
        ):
            return False
        facts.store(connection, find.facts, of_facts, user_id=user_id, conversation_id=conversation_id)
    return True
