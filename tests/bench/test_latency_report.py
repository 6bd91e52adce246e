from bench.harness.load import LoadResult
from bench.turns.latency_report import REQUEST_MODES, LatencyResults, figures

MODE = REQUEST_MODES[0]


def seen(*times_ms: float, first_token_ms: float = 1.0) -> LoadResult:
    return LoadResult(list(times_ms), [first_token_ms], [], len(times_ms), elapsed_s=2.0)


def test_a_server_adds_the_mean_of_its_differences_within_each_round():
    results = LatencyResults(["upstream", "ours"])
    for upstream_ms, ours_ms in ((1.0, 11.0), (100.0, 110.0), (1.0, 17.0)):
        results.of("upstream", MODE).add_round(seen(upstream_ms), cpu_ms=None)
        results.of("ours", MODE).add_round(seen(ours_ms), cpu_ms=None)

    assert results.added_ms("ours", MODE) == 12.0


def test_p99_is_of_all_rounds_together():
    results = LatencyResults(["upstream"])
    for _ in range(3):
        results.of("upstream", MODE).add_round(seen(*[1.0] * 49, 9.0), cpu_ms=1.0)

    assert results.of("upstream", MODE).p99_ms() == 9.0


def test_requests_a_second_count_what_was_answered_in_the_measured_time():
    results = LatencyResults(["upstream"])
    results.of("upstream", MODE).add_round(seen(1.0, 1.0, 1.0), cpu_ms=None)

    assert results.per_s("upstream", MODE) == 1.5


def test_each_rival_has_figures_and_a_missing_one_is_not_measured():
    results = LatencyResults(["fake upstream", "Portkey", "Parley"])
    for name, ms in zip(results.names, (1.0, 3.0, 9.0), strict=True):
        for mode in REQUEST_MODES:
            results.of(name, mode).add_round(seen(ms), cpu_ms=None)
    found = {figure.name: figure for figure in figures(results)}

    assert found["added p50 of a whole turn, beside Portkey"].value == 4.0
    assert found["added p50 of a whole turn, beside Portkey"].result == "not reached"
    assert found["added p50 of a whole turn, beside LiteLLM"].result == "not measured"
