"""Remembers a conversation: updates its summary, extracts facts about its user, and cuts it into passages.

The conversation is read piece by piece. Facts, passages and the position reached are stored together after each piece.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from functions.summarize import facts
from functions.summarize.backfill import embed_missing
from functions.summarize.facts import Fact
from functions.summarize.services import SummarizeServices
from functions.summarize.summaries import update_summary
from functions.summarize.transcript import LAST_VARIANT, lines_after
from parley.db import conversations, messages, passages
from parley.db.messages import MessageCursor, StoredMessage
from parley.db.outbox import ClaimedEntry
from parley.db.transactions import user_scope
from parley.deadline import Deadline
from parley.llm.router import Candidate
from parley.llm.tokens import estimate_tokens
from parley.memory.passages import Passage, split_into_passages
from parley.metering.completion import max_prompt_tokens, model_candidates
from parley.metering.limits import BillingSubject

PIECE_TOKENS = 6000


@dataclass(frozen=True, slots=True)
class Extraction:
    """What one piece of a conversation holds; the passages begin at message `first_seq`, before it, where one was still open."""

    first_seq: int
    upto_seq: int
    facts: Sequence[Fact]
    pieces: Sequence[Passage]


def extract_memories(services: SummarizeServices, conversation_id: UUID, *, user_id: UUID, upto_seq: int, deadline: Deadline) -> None:
    """Read the conversation up to message `upto_seq`; facts, passages and how far it was read are stored together.

    Raises NotFound, and what `ask` raises; what has been stored stays.
    """
    models = model_candidates(services, "facts", user_id=user_id)
    while _extract_next_piece(services, models, conversation_id, user_id=user_id, upto_seq=upto_seq, deadline=deadline):
        pass


def _extract_next_piece(
    services: SummarizeServices, models: Sequence[Candidate], conversation_id: UUID, *, user_id: UUID, upto_seq: int, deadline: Deadline
) -> bool:
    """Read one piece more; False if there is none, or the user does not want it any more."""
    room = min(max_prompt_tokens(models, answer_tokens=facts.FACTS_ANSWER_TOKENS) - estimate_tokens(facts.FACTS_PROMPT), PIECE_TOKENS)
    with user_scope(services.engine, user_id) as connection:
        mined = conversations.extraction_progress(connection, conversation_id, user_id=user_id)
        after_seq = mined.upto_seq if mined.is_allowed else upto_seq
        lines = lines_after(connection, conversation_id, user_id=user_id, after_seq=after_seq, upto_seq=upto_seq, budget_tokens=room)
        if not lines:
            return False
        upto = lines[-1].line.seq
        first_seq, open_ones = _open_passages(connection, conversation_id, user_id=user_id, upto_seq=upto)
    found = facts.extract_facts(services, models, lines, user_id=user_id, deadline=deadline)
    return _store_extraction(services, conversation_id, Extraction(first_seq, upto, found, split_into_passages(open_ones)), user_id=user_id)


def _open_passages(connection: Connection, conversation_id: UUID, *, user_id: UUID, upto_seq: int) -> tuple[int, list[StoredMessage]]:
    """Return where the passages are to be cut from, and the messages from there on."""
    first_seq = passages.next_start_seq(connection, conversation_id, user_id=user_id)
    of = (connection, conversation_id)
    found = messages.page(
        *of, user_id=user_id, order="asc", after=MessageCursor(first_seq - 1, LAST_VARIANT), limit=max(upto_seq - first_seq + 1, 0)
    )
    return first_seq, found


def _store_extraction(services: SummarizeServices, conversation_id: UUID, extraction: Extraction, *, user_id: UUID) -> bool:
    """Store what was found, with its vectors if there are any; nothing where another run, or the user's word, came first."""
    texts = [*(fact.text for fact in extraction.facts), *(piece.text for piece in extraction.pieces)]
    vectors = services.embedding.try_vectors(texts, billing_subject=BillingSubject(user_id)) if texts else []
    of_facts, of_pieces = (vectors[: len(extraction.facts)], vectors[len(extraction.facts) :]) if vectors is not None else (None, None)
    with user_scope(services.engine, user_id) as connection:
        # First: it locks the conversation, and tells whether another run has read this piece, or the user has thought again.
        if not passages.replace_from(
            connection,
            conversation_id,
            user_id=user_id,
            first_seq=extraction.first_seq,
            upto_seq=extraction.upto_seq,
            pieces=extraction.pieces,
            vectors=of_pieces,
        ):
            return False
        facts.store_facts(connection, extraction.facts, of_facts, user_id=user_id, conversation_id=conversation_id)
    return True


def remember_conversation(services: SummarizeServices, claimed: ClaimedEntry, deadline: Deadline) -> None:
    """Summarise what is new of a conversation, and mine it where its user lets us. Raises NotFound and what models fail by."""
    user_id, conversation_id = claimed.user_id, claimed.subject_id
    with user_scope(services.engine, user_id) as connection:
        mined = conversations.extraction_progress(connection, conversation_id, user_id=user_id)
    update_summary(services, conversation_id, user_id=user_id, upto_seq=mined.answered_seq, deadline=deadline)
    if mined.is_allowed:
        extract_memories(services, conversation_id, user_id=user_id, upto_seq=mined.answered_seq, deadline=deadline)
        embed_missing(services, user_id=user_id, deadline=deadline)
    else:
        # What is said while memory is off stays out of it when it is on again.
        with user_scope(services.engine, user_id) as connection:
            conversations.mark_extracted(connection, conversation_id, user_id=user_id, seq=mined.answered_seq)
