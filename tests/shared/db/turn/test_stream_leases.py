"""How many streams a user has open: each kind has slots of its own."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, text

from parley.db.turn.stream_leases import StreamLease, TooManyStreams
from parley.ids import new_id
from tests.shared.db.groups.test_pools import WAITING
from tests.support.time_limits import wait_until


def test_a_stream_of_one_kind_takes_no_slot_of_another(engine, alice):
    leases = [StreamLease(engine, kind, user_id=alice.id, limit=1) for kind in ("answer", "follower", "wait")]
    for lease in leases:
        lease.hold()
    with pytest.raises(TooManyStreams), StreamLease(engine, "wait", user_id=alice.id, limit=1) as another:
        another.hold()
    for lease in leases:
        lease.release()


def test_a_stream_too_many_may_be_tried_again(engine, alice):
    with StreamLease(engine, "wait", user_id=alice.id, limit=1) as lease, pytest.raises(TooManyStreams) as caught:
        lease.hold()
        StreamLease(engine, "wait", user_id=alice.id, limit=1).hold()

    assert (caught.value.status, caught.value.code, caught.value.retryable, caught.value.retry_after_s) == (
        429,
        "too_many_streams",
        True,
        5,
    )


def test_a_released_lease_takes_a_slot_anew(engine, alice):
    lease = StreamLease(engine, "wait", user_id=alice.id, limit=1)
    lease.hold()
    lease.release()
    with StreamLease(engine, "wait", user_id=alice.id, limit=1) as other:
        other.hold()
        with pytest.raises(TooManyStreams):
            lease.hold()


def test_a_lease_that_was_just_taken_is_not_renewed(engine, alice):
    statements = []
    with StreamLease(engine, "wait", user_id=alice.id, limit=1) as lease:
        lease.hold()
        event.listen(engine, "before_cursor_execute", record := lambda *arguments: statements.append(arguments[2]))
        lease.hold()
        event.remove(engine, "before_cursor_execute", record)

    assert statements == []


def test_a_slot_that_another_request_takes_at_the_same_moment_is_not_taken_over(engine, superuser, postgres, alice):
    add = "INSERT INTO stream_leases (user_id, kind, slot, id, expires_at) VALUES (:user, 'wait', 1, :id, now() + interval '1 hour')"
    with ThreadPoolExecutor(1) as thread, superuser.connect() as other:
        other.execute(text(add), {"user": alice.id, "id": new_id()})
        held = thread.submit(StreamLease(engine, "wait", user_id=alice.id, limit=1).hold)
        wait_until(lambda: held.done() or postgres.execute(WAITING))
        other.commit()
        with pytest.raises(TooManyStreams):
            held.result()


def test_a_request_that_loses_a_slot_at_the_same_moment_takes_another(engine, superuser, postgres, alice):
    add = "INSERT INTO stream_leases (user_id, kind, slot, id, expires_at) VALUES (:user, 'wait', :slot, :id, now() + interval '1 hour')"
    with ThreadPoolExecutor(1) as thread, superuser.connect() as first, superuser.connect() as second:
        others = {}
        for slot, other in enumerate((first, second), 1):
            other.execute(text(add), {"user": alice.id, "slot": slot, "id": new_id()})
            others[other.scalar(text("SELECT pg_backend_pid()"))] = other
        held = thread.submit(StreamLease(engine, "wait", user_id=alice.id, limit=2).hold)
        wait_until(lambda: held.done() or postgres.execute(WAITING))
        (blocking,) = postgres.execute("SELECT unnest(pg_blocking_pids(pid)) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        faster = others.pop(blocking[0])
        for other in others.values():
            other.rollback()
        faster.commit()
        held.result()
