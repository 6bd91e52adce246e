"""How long a caller waits until its rate has room again."""

from decimal import Decimal

import pytest
from sqlalchemy import text

from parley.db.metering import quotas
from parley.db.metering.quotas import DefaultLimits
from parley.metering import limits
from parley.metering.limits import RateLimited
from tests.shared.db.metering.test_quotas import admitted, key_of
from tests.shared.db.metering.test_quotas import billing_subject as billing_subject

MANY = DefaultLimits(rate_per_minute=1000, budget_usd=Decimal(5))


def test_a_key_with_its_own_rate_waits_until_that_has_room(run, billing_subject, engines):
    key = key_of(engines, billing_subject, rate_per_minute=2)
    assert admitted(run, key, MANY, 2) == 2
    with pytest.raises(RateLimited) as caught:
        run(limits.admit, key, MANY, amount_usd=Decimal(0))

    assert 28 < caught.value.retry_after_s <= 30


def test_nobody_waits_for_a_rate_of_another_user_without_row_level_security(superuser, alice, bob):
    add = "INSERT INTO rate_limits (user_id, subject_id, free_at) VALUES (:user, :subject, now() + CAST(:ahead AS interval))"
    with superuser.connect() as connection:
        for person, ahead in ((alice, "30 seconds"), (bob, "1 hour")):
            connection.execute(text(add), {"user": person.id, "subject": alice.id, "ahead": ahead})
        wait_s = quotas.rate_wait_s(connection, {alice.id: 60}, user_id=alice.id)
        connection.rollback()

    assert wait_s < 0
