"""Entries of the outbox: when they are sent again, and which of them a worker claims, finishes and gives back."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from parley.db import outbox
from parley.db.outbox import ClaimedEntry
from parley.ids import new_id
from tests.shared.db.groups.test_pools import WAITING
from tests.shared.db.turn.test_turns import Turns
from tests.support.time_limits import wait_until

MANY = 10_000
LEASE_S = 60.0


@pytest.fixture
def connection(unrestricted):
    """A transaction that no policy restricts, in which the outbox is empty."""
    unrestricted.execute(text("DELETE FROM outbox"))
    return unrestricted


@pytest.fixture
def store(connection):
    """Return a function that stores an entry, older than any stored later, with these columns."""
    stored = []

    def add(person, *, id=None, topic="remember", subject_id=None, **columns):
        values = {"user": person.id, "id": id or new_id(), "topic": topic, "subject": subject_id or new_id(), "age": 100 - len(stored)}
        names, texts = "".join(f", {name}" for name in columns), "".join(f", {value}" for value in columns.values())
        statement = (
            f"INSERT INTO outbox (user_id, id, topic, subject_id, created_at{names}) "
            f"VALUES (:user, :id, :topic, :subject, now() - make_interval(mins => :age){texts})"
        )
        connection.execute(text(statement), values)
        stored.append(values["id"])
        return values["id"]

    return add


@pytest.fixture
def read(connection):
    """Return a function that reads an entry: how long until it is due, its attempts, tries and generation, and whether it is claimed."""
    columns = "due_at - now() AS pause, attempts, tries, generation, claimed_until > now() AS is_claimed"

    def row(person, id):
        statement = text(f"SELECT {columns} FROM outbox WHERE user_id = :user AND id = :id")
        return connection.execute(statement, {"user": person.id, "id": id}).one_or_none()

    return row


# When an entry is sent again


def test_a_new_entry_is_sent_again_after_a_quarter_of_an_hour(connection, read, alice):
    entry = outbox.add(connection, "export", user_id=alice.id, subject_id=new_id())
    found = read(alice, entry.id)

    assert (entry.attempts, found.pause, found.attempts) == (0, timedelta(minutes=15), 0)


@pytest.mark.parametrize(("tries", "quarters"), [(0, 1), (1, 2), (3, 8), (9, 512), (20, 512)])
def test_the_pause_doubles_with_each_claim_up_to_five_days(connection, store, read, alice, tries, quarters):
    id = store(alice, due_at="now()", tries=tries, attempts=2)
    (taken,) = outbox.take_due(connection, limit=MANY)
    found = read(alice, id)

    assert (taken.id, taken.attempts, found.attempts) == (id, 3, 3)
    assert found.pause == quarters * timedelta(minutes=15)


# Claims


def test_the_oldest_entry_is_claimed_first_and_each_by_one_worker(connection, store, alice):
    ids = [store(alice, due_at="now() + interval '1 minute'") for _ in range(2)]
    claimed = [outbox.claim_next(connection, lease_s=LEASE_S) for _ in range(3)]

    assert [one and (one.id, one.tries) for one in claimed] == [(ids[0], 1), (ids[1], 1), None]


@pytest.mark.parametrize(("due_at", "is_claimed"), [("now()", True), ("now() + interval '1 minute'", False)])
def test_an_entry_whose_job_has_failed_is_claimed_again_when_it_is_due(connection, store, alice, due_at, is_claimed):
    store(alice, due_at=due_at, tries=1)

    assert (outbox.claim_next(connection, lease_s=LEASE_S) is not None) is is_claimed


def test_a_worker_does_not_wait_for_the_entry_that_another_is_claiming(superuser, connection, alice):
    connection.rollback()
    add = "INSERT INTO outbox (user_id, id, topic, subject_id, created_at) VALUES (:user, :id, 'remember', :id, '1999-01-01')"
    ids = [new_id(), new_id()]
    with superuser.begin() as committed:
        committed.execute(text(add), [{"user": alice.id, "id": id} for id in ids])
    with superuser.connect() as other:
        other.execute(text("SET LOCAL lock_timeout = '10s'"))
        claimed = [outbox.claim_next(one, lease_s=LEASE_S).id for one in (connection, other)]
        other.rollback()
    connection.rollback()
    with superuser.begin() as committed:
        committed.execute(text("DELETE FROM outbox WHERE id = ANY(:ids)"), {"ids": ids})

    assert sorted(claimed) == sorted(ids)


def test_a_conversations_entry_is_claimed_by_its_topic(connection, store, alice):
    conversation_id = new_id()
    store(alice, topic="remember", subject_id=conversation_id)
    title = store(alice, topic="title", subject_id=conversation_id)

    assert outbox.claim_topic(connection, "title", conversation_id, user_id=alice.id, lease_s=LEASE_S).id == title


def test_the_entries_that_nobody_has_claimed_are_listed_oldest_first(connection, store, alice):
    store(alice, tries=1)
    ids = [store(alice) for _ in range(3)]

    assert [entry.id for entry in outbox.unclaimed(connection, limit=2)] == ids[:2]


STEPS = {
    "is claimed": lambda connection, _: outbox.claim_next(connection, lease_s=LEASE_S),
    "is sent again": lambda connection, _: outbox.take_due(connection, limit=1),
    "is done": outbox.finish_claim,
    "is done and wanted again": lambda connection, claimed: outbox.finish_claim(connection, replace(claimed, generation=3)),
    "is released": outbox.release_claim,
    "is dropped": outbox.drop_claim,
}


@pytest.mark.parametrize("step", STEPS)
def test_an_entry_of_another_user_with_the_same_id_stays_as_it_is_when_one(connection, store, read, alice, bob, step):
    id, is_free = new_id(), step in ("is claimed", "is sent again")
    columns = {"due_at": "now()", "generation": 4, "claimed_until": "NULL" if is_free else "now() + interval '1 minute'"}
    for person in (alice, bob):
        store(person, id=id, **columns)
    before = read(bob, id)
    STEPS[step](connection, ClaimedEntry(alice.id, id, "remember", new_id(), 4, 1))

    assert read(bob, id) == before
    assert read(alice, id) != before


def test_a_turn_that_ends_while_the_job_of_its_conversation_does_is_not_forgotten(superuser, postgres, alice):
    claimed = ClaimedEntry(alice.id, new_id(), "remember", new_id(), 1, 1)
    values = {"user": alice.id, "id": claimed.id}
    with superuser.begin() as connection:
        add = "INSERT INTO outbox (user_id, id, topic, subject_id, generation, tries) VALUES (:user, :id, 'remember', :id, 1, 1)"
        connection.execute(text(add), values)

    def finish():
        with superuser.begin() as connection:
            return outbox.finish_claim(connection, claimed)

    with ThreadPoolExecutor(1) as thread, superuser.begin() as ending:
        ending.execute(text("UPDATE outbox SET generation = 2 WHERE user_id = :user AND id = :id"), values)
        finished = thread.submit(finish)
        wait_until(lambda: finished.done() or postgres.execute(WAITING))
        ending.commit()
        assert finished.result() is False
    with superuser.begin() as connection:
        left = connection.execute(text("DELETE FROM outbox WHERE user_id = :user AND id = :id RETURNING generation, tries"), values).one()

    assert tuple(left) == (2, 0)


# Entries of a conversation


def test_a_summary_that_is_needed_soon_is_not_put_off(connection, read, alice):
    conversation_id = new_id()
    sent = [outbox.request_summary(connection, conversation_id, user_id=alice.id, is_due=is_due) for is_due in (False, True, False)]
    found = read(alice, sent[0][0].id)

    assert [is_to_send for _, is_to_send in sent] == [False, True, False]
    assert (found.pause, found.generation, {entry.id for entry, _ in sent}) == (timedelta(minutes=15), 2, {sent[0][0].id})


def test_a_summary_that_is_overdue_and_not_needed_soon_is_put_off(connection, store, read, alice):
    conversation_id = new_id()
    id = store(alice, topic="summary", subject_id=conversation_id, due_at="now()")
    outbox.request_summary(connection, conversation_id, user_id=alice.id, is_due=False)

    assert read(alice, id).pause > timedelta(days=3000)


def test_a_request_of_a_summary_leaves_the_conversations_other_entries_alone(connection, store, read, alice):
    conversation_id = new_id()
    others = [store(alice, topic=topic, subject_id=conversation_id) for topic in ("title", "remember")]
    outbox.request_summary(connection, conversation_id, user_id=alice.id, is_due=True)

    assert [read(alice, id).generation for id in others] == [0, 0]


def test_two_summaries_that_were_requested_at_once_are_no_error(connection, store, alice):
    conversation_id = new_id()
    ids = {store(alice, topic="summary", subject_id=conversation_id) for _ in range(2)}

    assert outbox.request_summary(connection, conversation_id, user_id=alice.id, is_due=True)[0].id in ids


@pytest.fixture
def end_another(connection, alice):
    """Return a function that ends a further turn of the same conversation, and returns the topics of the entries to send."""
    mine, ended = Turns(connection, alice.id), []

    def end():
        again = {"conversation_id": ended[0].conversation_id, "last_seq": 2 * len(ended)} if ended else {}
        ended.append(mine.begin(**again))
        return {entry.topic for entry in mine.end(ended[-1]).follow_up}

    return end


@pytest.mark.parametrize(("left", "sent"), [("interval '1 minute'", set()), ("interval '0'", {"title", "remember"})])
def test_the_end_of_a_turn_sends_an_entry_again_only_if_it_is_due(connection, end_another, left, sent):
    first = end_another()
    connection.execute(text(f"UPDATE outbox SET due_at = now() + {left}"))

    assert (first, end_another()) == ({"title", "remember"}, sent)


def test_a_title_of_the_users_own_is_not_replaced(connection, end_another, alice):
    end_another()
    connection.execute(
        text("UPDATE conversations SET title = 'Herons', is_title_automatic = false WHERE user_id = :user"), {"user": alice.id}
    )
    connection.execute(text("DELETE FROM outbox"))

    assert end_another() == {"remember"}
