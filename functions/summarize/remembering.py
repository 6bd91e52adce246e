"""Remembers a conversation as far as it has been answered: its summary, its passages, and the facts that it tells of its user."""

from functions.summarize.desk import Desk
from functions.summarize.mining import mine
from functions.summarize.summaries import roll
from functions.summarize.vectors import catch_up
from parley.db import conversations
from parley.db.outbox import ClaimedEntry
from parley.db.transactions import user_scope
from parley.deadline import Deadline


def remember(services: Desk, claimed: ClaimedEntry, deadline: Deadline) -> None:
    """Summarise what is new of a conversation, and mine it where its user lets us. Raises NotFound and what models fail by."""
    user_id, conversation_id = claimed.user_id, claimed.subject_id
    with user_scope(services.engine, user_id) as connection:
        mined = conversations.extraction_progress(connection, conversation_id, user_id=user_id)
    roll(services, conversation_id, user_id=user_id, upto_seq=mined.answered_seq, deadline=deadline)
    if mined.is_allowed:
        mine(services, conversation_id, user_id=user_id, upto_seq=mined.answered_seq, deadline=deadline)
        catch_up(services, user_id=user_id, deadline=deadline)
    else:
        # What is said while memory is off stays out of it when it is on again.
        with user_scope(services.engine, user_id) as connection:
            conversations.mark_extracted(connection, conversation_id, user_id=user_id, seq=mined.answered_seq)
