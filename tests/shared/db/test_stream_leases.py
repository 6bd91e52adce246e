"""How many streams a user has open: each kind has slots of its own."""

import pytest

from parley.db.turn.stream_leases import StreamLease, TooManyStreams


def test_a_stream_of_one_kind_takes_no_slot_of_another(engine, alice):
    leases = [StreamLease(engine, kind, user_id=alice.id, limit=1) for kind in ("answer", "follower", "wait")]
    for lease in leases:
        lease.hold()
    with pytest.raises(TooManyStreams), StreamLease(engine, "wait", user_id=alice.id, limit=1) as another:
        another.hold()
    for lease in leases:
        lease.release()
