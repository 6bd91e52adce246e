from bench.figures import WAYS, Results
from bench.load import Seen

WAY = WAYS[0]


def seen(*times_ms: float, first_token_ms: float = 1.0) -> Seen:
    return Seen(list(times_ms), [first_token_ms], [], len(times_ms), elapsed_s=2.0)


def test_what_a_server_adds_is_compared_within_each_round():
    results = Results(["upstream", "ours"])
    for upstream_ms, ours_ms in ((1.0, 11.0), (100.0, 112.0), (1.0, 13.0)):
        results.of("upstream", WAY).note(seen(upstream_ms), cpu_ms=None)
        results.of("ours", WAY).note(seen(ours_ms), cpu_ms=None)

    assert results.added_ms("ours", WAY) == 12.0


def test_p99_is_of_all_rounds_together():
    results = Results(["upstream"])
    for _ in range(3):
        results.of("upstream", WAY).note(seen(*[1.0] * 49, 9.0), cpu_ms=1.0)

    assert results.of("upstream", WAY).p99_ms() == 9.0


def test_requests_a_second_count_what_was_answered_in_the_measured_time():
    results = Results(["upstream"])
    results.of("upstream", WAY).note(seen(1.0, 1.0, 1.0), cpu_ms=None)

    assert results.per_s("upstream", WAY) == 1.5
