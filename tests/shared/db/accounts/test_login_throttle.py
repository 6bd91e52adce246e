"""How many attempts a bucket has room for, and how long one that is full asks to wait."""

from dataclasses import replace

import pytest
from sqlalchemy import insert, text

from parley.db.accounts import login_throttle
from parley.db.accounts.login_throttle import ThrottleBucket
from parley.db.tables import guesses
from parley.ids import new_id


@pytest.fixture
def bucket():
    return ThrottleBucket(new_id().bytes, burst=3, every_s=60.0, slow_s=3600.0)


@pytest.fixture
def fill(unrestricted):
    """Return a function that stores a bucket that will be empty in some seconds."""

    def fill(bucket, seconds, *, in_a_row=1):
        row = {"key": bucket.key, "free_at": text(f"clock_timestamp() + interval '{seconds} s'"), "in_a_row": in_a_row}
        unrestricted.execute(insert(guesses).values(row))

    return fill


def test_a_bucket_admits_as_many_attempts_as_its_burst(unrestricted, bucket):
    waits_s = [login_throttle.take(unrestricted, [bucket]) for _ in range(4)]

    assert waits_s[:3] == [None] * 3
    assert waits_s[3] == pytest.approx(60, abs=9)


@pytest.mark.parametrize("full", [0, 1, 2])
def test_an_attempt_needs_room_in_every_bucket(unrestricted, bucket, fill, full):
    buckets = [replace(bucket, key=new_id().bytes) for _ in range(3)]
    fill(buckets[full], 180)

    assert login_throttle.take(unrestricted, buckets) == pytest.approx(60, abs=9)


@pytest.mark.parametrize(("in_a_row", "interval_s"), [(99, 60), (100, 3600)])
def test_after_a_hundred_attempts_in_a_row_a_bucket_leaks_slowly(unrestricted, bucket, fill, in_a_row, interval_s):
    fill(bucket, 0, in_a_row=in_a_row)
    login_throttle.take(unrestricted, [bucket])
    left_s = unrestricted.scalar(
        text("SELECT extract(epoch FROM free_at - clock_timestamp()) FROM guesses WHERE key = :key"), {"key": bucket.key}
    )

    assert float(left_s) == pytest.approx(interval_s, abs=9)


@pytest.mark.parametrize(("seconds", "least_s", "most_s"), [(120.5, 1.0, 1.0), (121.9, 1.0, 1.9)])
def test_a_wait_lasts_at_least_a_second_and_no_longer_than_it_must(unrestricted, bucket, fill, seconds, least_s, most_s):
    fill(bucket, seconds)

    assert least_s <= login_throttle.wait_s(unrestricted, [bucket]) <= most_s


@pytest.mark.parametrize(("options", "slow_s"), [({}, 60), ({"slow_s": 3600.0}, 3600)])
def test_a_bucket_leaks_its_burst_within_its_window(options, slow_s):
    bucket = ThrottleBucket.of("account", "ada", burst=10, window_s=600, **options)

    assert (bucket.burst, bucket.every_s, bucket.slow_s) == (10, 60, slow_s)


def test_only_the_named_buckets_are_emptied(unrestricted, bucket, fill):
    other = replace(bucket, key=new_id().bytes)
    for one in (bucket, other):
        fill(one, 180)
    login_throttle.reset(unrestricted, [bucket.key])

    assert [login_throttle.take(unrestricted, [one]) is None for one in (bucket, other)] == [True, False]
