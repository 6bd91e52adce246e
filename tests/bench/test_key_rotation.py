"""What the benchmark of the rotation under traffic accepts."""

from collections import Counter

import pytest

from bench.auth.key_rotation import Traffic, failure_of


@pytest.mark.parametrize(
    ("statuses", "keys", "seconds", "failure"),
    [
        ({200: 2000}, "ab", 10.0, None),
        ({200: 2000}, "ab", 10.6, "this machine is too slow for the rate"),
        ({200: 1999, 401: 1}, "ab", 10.0, "requests were refused during the rotation"),
        ({200: 1999, 0: 1}, "ab", 10.0, "requests were refused during the rotation"),
        ({200: 2000}, "a", 10.0, "the new key signed nothing: take more --seconds"),
    ],
    ids=["all accepted", "too late", "refused", "broken", "one key"],
)
def test_all_requests_are_accepted_in_time_with_tokens_of_both_keys(statuses, keys, seconds, failure):
    assert failure_of(Traffic(Counter(statuses), set(keys), seconds), rate=200.0) == failure
