"""Token buckets."""

from local.gateway.app import RateLimiter
from local.template.stack import MockIntegration, RateLimit, Route


def route(path: str, limit: RateLimit | None) -> Route:
    return Route(method="GET", path=path, integration=MockIntegration(200, {}, ""), throttle=limit)


def test_a_burst_passes_and_then_only_the_rate() -> None:
    now = [100.0]
    throttling, limited = RateLimiter(lambda: now[0]), route("/a", RateLimit(2, 3))

    assert [throttling.allows(limited) for _ in range(4)] == [True, True, True, False]
    now[0] += 0.5
    assert [throttling.allows(limited) for _ in range(2)] == [True, False]


def test_a_long_rest_refills_no_more_than_the_burst() -> None:
    now = [100.0]
    throttling, limited = RateLimiter(lambda: now[0]), route("/a", RateLimit(2, 3))
    throttling.allows(limited)
    now[0] += 1000

    assert [throttling.allows(limited) for _ in range(4)] == [True, True, True, False]


def test_routes_do_not_share_a_bucket() -> None:
    throttling = RateLimiter(lambda: 0.0)

    assert throttling.allows(route("/a", RateLimit(1, 1)))
    assert throttling.allows(route("/b", RateLimit(1, 1)))
    assert all(throttling.allows(route("/c", None)) for _ in range(100))


def test_a_load_test_turns_it_off() -> None:
    throttling, limited = RateLimiter(lambda: 0.0, is_off=True), route("/a", RateLimit(1, 1))

    assert all(throttling.allows(limited) for _ in range(100))
