"""Updates the memory of a conversation: the facts about its user, and passages that its turns did not store or embed.

The conversation is read in segments. One transaction stores the facts, the passages and the position of a segment, and reads the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from functions.summarize import facts
from functions.summarize.backfill import VectorStore, embed_rows, incomplete_stores
from functions.summarize.facts import Fact
from functions.summarize.services import SummarizeServices
from functions.summarize.transcript import MessageLines, lines_after
from parley.db import conversations, passages
from parley.db.engine import Connection
from parley.db.messages import StoredMessage
from parley.db.outbox import ClaimedEntry
from parley.db.transactions import user_scope
from parley.deadline import Deadline
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


@dataclass(frozen=True, slots=True)
class Segment:
    """The next messages to read, and those of them that no passage contains. After the last segment there are no `lines`.

    Only then, `incomplete` has the tables with rows of the user that lack a vector.
    """

    lines: Sequence[MessageLines] = ()
    missing: Sequence[StoredMessage] = ()
    incomplete: Sequence[VectorStore] = ()


def remember_conversation(services: SummarizeServices, claimed: ClaimedEntry, deadline: Deadline) -> None:
    """Update the facts from a conversation, if its user allows memory. Raises NotFound and the errors of `complete`."""
    extract_memories(services, claimed.subject_id, user_id=claimed.user_id, deadline=deadline)


def extract_memories(services: SummarizeServices, conversation_id: UUID, *, user_id: UUID, deadline: Deadline) -> None:
    """Extract facts and passages up to the last answer, segment by segment, and embed what has no vector.

    Raises NotFound and the errors of `complete`; segments stored before an error stay stored.
    """
    with user_scope(services.engine, user_id) as connection:
        progress = conversations.extraction_progress(connection, conversation_id, user_id=user_id)
        if not progress.is_allowed:
            # Messages sent while memory is off are never remembered, even if it is turned on later.
            conversations.mark_extracted(connection, conversation_id, user_id=user_id, seq=progress.answered_seq)
            return
        reader = _Reader(services, conversation_id, user_id, upto_seq=progress.answered_seq)
        segment = reader.next_segment(connection, after_seq=progress.upto_seq)
    while segment.lines:
        extraction = _extract(services, segment, user_id=user_id, deadline=deadline)
        segment = _store_extraction(reader, extraction, deadline)
    embed_rows(services, segment.incomplete, user_id=user_id, deadline=deadline)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads a user's conversation up to message `upto_seq`."""

    services: SummarizeServices
    conversation_id: UUID
    user_id: UUID
    upto_seq: int

    def next_segment(self, connection: Connection, *, after_seq: int) -> Segment:
        """Return the segment after message `after_seq`. Raises NotFound and NoModel."""
        lines = self._lines(connection, after_seq) if after_seq < self.upto_seq else []
        if not lines:
            return self.end(connection)
        covered = passages.covered_ranges(connection, self.conversation_id, user_id=self.user_id, first_seq=lines[0].message.seq)
        messages = [line.message for line in lines]
        return Segment(lines, [message for message in messages if not any(message.seq in seqs for seqs in covered)])

    def end(self, connection: Connection) -> Segment:
        """Return the segment that follows the last one."""
        return Segment(incomplete=incomplete_stores(connection, user_id=self.user_id, model=self.services.embedding.model_name()))

    def _lines(self, connection: Connection, after_seq: int) -> list[MessageLines]:
        models = model_candidates(self.services, "facts", user_id=self.user_id)
        room = max_prompt_tokens(models, answer_tokens=facts.FACTS_ANSWER_TOKENS) - estimate_tokens(facts.FACTS_PROMPT)
        return lines_after(
            connection,
            self.conversation_id,
            user_id=self.user_id,
            after_seq=after_seq,
            upto_seq=self.upto_seq,
            budget_tokens=min(room, SEGMENT_TOKENS),
        )


def _extract(services: SummarizeServices, segment: Segment, *, user_id: UUID, deadline: Deadline) -> Extraction:
    models = model_candidates(services, "facts", user_id=user_id)
    new_facts = facts.extract_facts(services, models, segment.lines, user_id=user_id, deadline=deadline)
    return Extraction(segment.lines[-1].message.seq, new_facts, split_into_passages(segment.missing))


def _store_extraction(reader: _Reader, extraction: Extraction, deadline: Deadline) -> Segment:
    """Store facts and passages, with vectors if the embedding call succeeds, and return the next segment.

    If another run has already extracted this segment or the user has turned memory off, nothing is stored, and no segment follows.
    """
    user_id, conversation_id, services = reader.user_id, reader.conversation_id, reader.services
    texts = [*(fact.text for fact in extraction.facts), *(passage.text for passage in extraction.passages)]
    vectors = services.embedding.try_vectors(texts, billing_subject=BillingSubject(user_id), deadline=deadline) if texts else []
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
            return reader.end(connection)
        facts.store_facts(connection, extraction.facts, fact_vectors, user_id=user_id, conversation_id=conversation_id)
        return reader.next_segment(connection, after_seq=extraction.upto_seq)
