"""Updates the memory of a conversation: the facts about its user, and passages that its turns did not store or embed.

The conversation is read in segments. Facts, passages and the position reached are stored in one transaction per segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from functions.summarize import facts
from functions.summarize.backfill import embed_missing
from functions.summarize.facts import Fact
from functions.summarize.services import SummarizeServices
from functions.summarize.transcript import lines_after
from parley.db import conversations, passages
from parley.db.engine import Connection
from parley.db.messages import StoredMessage
from parley.db.outbox import ClaimedEntry
from parley.db.transactions import user_scope
from parley.deadline import Deadline
from parley.llm.candidates import Candidate
from parley.llm.tokens import estimate_tokens
from parley.memory.passages import Passage, split_into_passages
from parley.metering.completion import max_prompt_tokens, model_candidates
from parley.metering.limits import BillingSubject

SEGMENT_TOKENS = 6000


@dataclass(frozen=True, slots=True)
class Extraction:
    """The memory that one segment of a conversation yields. The segment ends with message `upto_seq`.

    `passages` are those that no turn has stored, for example of a question whose answer failed.
    """

    upto_seq: int
    facts: Sequence[Fact]
    passages: Sequence[Passage]


def remember_conversation(services: SummarizeServices, claimed: ClaimedEntry, deadline: Deadline) -> None:
    """Update the facts from a conversation, if its user allows memory. Raises NotFound and the errors of `complete`."""
    user_id, conversation_id = claimed.user_id, claimed.subject_id
    with user_scope(services.engine, user_id) as connection:
        progress = conversations.extraction_progress(connection, conversation_id, user_id=user_id)
    if progress.is_allowed:
        extract_memories(services, conversation_id, user_id=user_id, upto_seq=progress.answered_seq, deadline=deadline)
        embed_missing(services, user_id=user_id, deadline=deadline)
    else:
        # Messages sent while memory is off are never remembered, even if it is turned on later.
        with user_scope(services.engine, user_id) as connection:
            conversations.mark_extracted(connection, conversation_id, user_id=user_id, seq=progress.answered_seq)


def extract_memories(services: SummarizeServices, conversation_id: UUID, *, user_id: UUID, upto_seq: int, deadline: Deadline) -> None:
    """Extract facts and passages up to message `upto_seq`, segment by segment.

    Raises NotFound and the errors of `complete`; segments stored before an error stay stored.
    """
    models = model_candidates(services, "facts", user_id=user_id)
    while _extract_next_segment(services, models, conversation_id, user_id=user_id, upto_seq=upto_seq, deadline=deadline):
        pass


def _extract_next_segment(
    services: SummarizeServices, models: Sequence[Candidate], conversation_id: UUID, *, user_id: UUID, upto_seq: int, deadline: Deadline
) -> bool:
    """Extract and store the next segment. Return whether another may follow: not after `upto_seq`, or if the result must not be stored."""
    room = min(max_prompt_tokens(models, answer_tokens=facts.FACTS_ANSWER_TOKENS) - estimate_tokens(facts.FACTS_PROMPT), SEGMENT_TOKENS)
    with user_scope(services.engine, user_id) as connection:
        progress = conversations.extraction_progress(connection, conversation_id, user_id=user_id)
        after_seq = progress.upto_seq if progress.is_allowed else upto_seq
        lines = lines_after(connection, conversation_id, user_id=user_id, after_seq=after_seq, upto_seq=upto_seq, budget_tokens=room)
        if not lines:
            return False
        last_seq = lines[-1].line.seq
        missing = _without_passage(connection, conversation_id, [line.message for line in lines], user_id=user_id)
    new_facts = facts.extract_facts(services, models, lines, user_id=user_id, deadline=deadline)
    extraction = Extraction(last_seq, new_facts, split_into_passages(missing))
    return _store_extraction(services, conversation_id, extraction, user_id=user_id) and last_seq < upto_seq


def _without_passage(
    connection: Connection, conversation_id: UUID, messages: Sequence[StoredMessage], *, user_id: UUID
) -> list[StoredMessage]:
    """Return the messages, given oldest first, that no passage contains."""
    covered = passages.covered_ranges(connection, conversation_id, user_id=user_id, first_seq=messages[0].seq)
    return [message for message in messages if not any(message.seq in seqs for seqs in covered)]


def _store_extraction(services: SummarizeServices, conversation_id: UUID, extraction: Extraction, *, user_id: UUID) -> bool:
    """Store facts and passages, with vectors if the embedding call succeeds.

    Return False and store nothing if another run has already extracted this segment or the user has turned memory off.
    """
    texts = [*(fact.text for fact in extraction.facts), *(passage.text for passage in extraction.passages)]
    vectors = services.embedding.try_vectors(texts, billing_subject=BillingSubject(user_id)) if texts else []
    fact_vectors = passage_vectors = None
    if vectors is not None:
        fact_vectors, passage_vectors = vectors[: len(extraction.facts)], vectors[len(extraction.facts) :]
    with user_scope(services.engine, user_id) as connection:
        # Passages come first, because this statement locks the conversation and checks that the segment may still be stored.
        if not passages.add_missing(
            connection,
            conversation_id,
            extraction.passages,
            user_id=user_id,
            upto_seq=extraction.upto_seq,
            vectors=passage_vectors,
        ):
            return False
        facts.store_facts(connection, extraction.facts, fact_vectors, user_id=user_id, conversation_id=conversation_id)
    return True
