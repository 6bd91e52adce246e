"""Summaries, beside another user's conversation with the same id."""

import pytest
from sqlalchemy import text

from parley.db import summaries


def summarize(talk, upto_seq):
    return summaries.add(talk.connection, talk.id, **talk.user, upto_seq=upto_seq, text="s", model="m", tokens=1)


def lacking(talk):
    return summaries.lacking_tokens(talk.connection, talk.id, **talk.user)


@pytest.fixture
def spoken(mine):
    """The tokens of each of three messages of `mine`, as a summary counts them."""
    for said in ("I live in Paris", "I moved to Lyon in the spring", "And the boat?"):
        mine.say(said)
    rows = mine.connection.scalars(text("SELECT tokens + 10 FROM messages WHERE user_id = :user_id ORDER BY seq"), mine.user)
    return list(rows)


def test_the_messages_after_the_users_own_summary_lack_one(mine, theirs, spoken):
    theirs.say("Hello")
    assert summarize(theirs, 3)
    assert lacking(mine) == sum(spoken)

    assert summarize(mine, 1)
    assert lacking(mine) == sum(spoken[1:])


def test_an_answer_that_was_replaced_lacks_no_summary(mine, spoken):
    mine.connection.execute(text("UPDATE messages SET is_active = false WHERE user_id = :user_id AND seq = 2"), mine.user)

    assert lacking(mine) == spoken[0] + spoken[2]


def test_another_users_newer_summary_replaces_none(mine, theirs, spoken):
    theirs.say("Hello")
    assert summarize(theirs, 3)

    assert summarize(mine, 2)
    assert not summarize(mine, 1)
    assert summaries.get(mine.connection, mine.id, **mine.user).upto_seq == 2


def test_of_summaries_by_two_workers_at_once_the_newest_counts(mine, spoken):
    summarize(mine, 2)
    older = "INSERT INTO summaries (user_id, conversation_id, upto_seq, text, model, tokens) VALUES (:user_id, :id, 1, 's', 'm', 1)"
    mine.connection.execute(text(older), mine.user | {"id": mine.id})

    assert summaries.get(mine.connection, mine.id, **mine.user).upto_seq == 2
