"""What a new second factor does to the sessions of its user."""

from datetime import timedelta

from sqlalchemy import insert, text

from parley.clock import utc_now
from parley.db.accounts import second_factors
from parley.db.tables import sessions
from parley.ids import new_id

YESTERDAY, TOMORROW = (utc_now() + timedelta(days=days) for days in (-1, 1))


def test_a_new_factor_counts_for_the_session_that_confirmed_it_and_ends_the_live_ones(unrestricted, people):
    own, live, ended = (new_id() for _ in range(3))
    rows = [
        {"user_id": people[0], "id": id, "expires_at": TOMORROW, "ended_at": YESTERDAY if id == ended else None}
        for id in (own, live, ended)
    ]
    unrestricted.execute(insert(sessions), rows)
    second_factors.confirm(unrestricted, user_id=people[0], session_id=own, hashes=[b"code"])
    found = unrestricted.execute(text("SELECT id, has_second_factor, ended_at FROM sessions WHERE user_id = :id"), {"id": people[0]}).all()
    now = unrestricted.scalar(text("SELECT now()"))

    assert sorted(found) == sorted([(own, True, None), (live, False, now), (ended, False, YESTERDAY)])
