"""What a user can still reserve of a month's budget."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from parley.db.metering.budgets import Budget


@pytest.mark.parametrize(
    ("spent_usd", "reserved_usd", "pool_left_usd", "left_usd"),
    [(1, 0, None, 4), (1, 2, None, 2), (1, 2, 9, 2), (1, 2, 1, 1), (4, 2, None, 0), (1, 2, -1, 0), (5, 0, None, 0)],
)
def test_what_is_left_is_neither_spent_nor_reserved_and_fits_the_pool(spent_usd, reserved_usd, pool_left_usd, left_usd):
    pool = None if pool_left_usd is None else Decimal(pool_left_usd)

    assert Budget(Decimal(5), Decimal(spent_usd), Decimal(reserved_usd), pool, datetime.now(UTC)).left_usd == left_usd
