"""Facts: which are current, and what is forgotten with one, beside another user's conversation with the same id."""

from sqlalchemy import text

from parley.db import memories


def test_a_fact_that_has_ended_is_neither_current_nor_ended_again(mine):
    first = mine.add_fact("I live in Paris")
    second = mine.add_fact("I live in Lyon", supersedes=[first])
    third = mine.add_fact("I live in Nice", supersedes=[first])

    assert memories.get(mine.connection, first, **mine.user).superseded_by == second
    assert {fact.id for fact in memories.lock_current(mine.connection, **mine.user)} == {second, third}


def test_a_fact_of_several_messages_is_shown_once_with_the_first(mine):
    said = [mine.say("I like storms"), mine.say("Storms are fine")]
    fact_id = mine.add_fact("Likes storms", *said)

    assert memories.get(mine.connection, fact_id, **mine.user).message_id == said[0]
    assert [fact.id for fact in memories.page(mine.connection, **mine.user, limit=9, after=None)] == [fact_id]


def test_facts_without_vectors_are_found_a_few_at_a_time(mine):
    for _ in range(2):
        mine.add_fact("I like storms")

    assert len(memories.without_vector(mine.connection, **mine.user, model="m", limit=1)) == 1


def test_a_forgotten_fact_takes_no_other_message_of_the_user_with_it(mine, theirs):
    said, next_said = mine.say("I am allergic to nuts"), mine.say("And the boat?")
    mine.store_passage(2, 2, "User: And the boat?")
    theirs.say("Hello")
    theirs.say("Ahoy", role="assistant", message_id=said)
    mine.forget(mine.add_fact("Allergic to nuts", said))

    assert mine.forgotten(said, next_said) == {said}
    assert mine.passages() == ["User: And the boat?"]


def test_another_users_passage_with_the_words_of_a_fact_takes_no_message_with_it(mine, theirs):
    said = mine.say("And the boat?")
    theirs.say("I am allergic to nuts")
    theirs.store_passage(1, 1, "User: I am allergic to nuts")
    mine.forget(mine.add_fact("Allergic to nuts"))

    assert mine.forgotten(said) == set()
    assert len(theirs.passages()) == 1


def test_a_passage_is_rewritten_from_the_users_own_active_messages(mine, theirs):
    said, next_said, variant = mine.say("I am allergic to nuts"), mine.say("And the boat?"), mine.say("And the sail?")
    mine.connection.execute(text("UPDATE messages SET seq = 2, variant = 1, is_active = false WHERE id = :id"), {"id": variant})
    mine.store_passage(1, 2, "User: I am allergic to nuts\nUser: And the boat?")
    for other in ("A secret", "Another secret"):
        theirs.say(other)
    mine.forget(mine.add_fact("Allergic to nuts", said))

    (left,) = mine.passages()
    assert left.endswith("And the boat?")
    assert mine.forgotten(said, next_said) == {said}
