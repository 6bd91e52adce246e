"""The circuit breaker's states, with a clock that the test moves."""

import pytest

from parley.errors import Unavailable
from parley.llm.circuit_breaker import CIRCUITS_CACHE_S, CircuitBreaker
from tests.fakes.circuits import MemoryCircuits


@pytest.fixture
def store():
    return MemoryCircuits()


@pytest.fixture
def process(store):
    """Return breakers of processes that share the store and its clock, and read it before every call."""
    return lambda: CircuitBreaker(store, now_s=lambda: store.now.timestamp() * 1000)


def fail(breaker, times):
    for _ in range(times):
        breaker.failed("acme")


def opened(store, process):
    fail(process(), 5)
    assert store.circuits["acme"].state == "open"


def test_the_fifth_failure_in_a_row_opens_the_circuit(store, process):
    breaker = process()
    fail(breaker, 4)
    assert breaker.admit("acme") == 0
    fail(breaker, 1)

    assert process().admit("acme") == 20


def test_failures_of_all_processes_count_together(store, process):
    for _ in range(5):
        fail(process(), 1)

    assert store.circuits["acme"].state == "open"


def test_failures_in_half_of_five_calls_open_the_circuit_and_fewer_do_not(store, process):
    for outcomes, state in (("ssfsf", "closed"), ("sfsff", "open"), ("sfsfssf", "closed"), ("fsfssf", "open")):
        store.circuits.clear()
        breaker = process()
        for outcome in outcomes:
            breaker.succeeded("acme") if outcome == "s" else breaker.failed("acme")
        assert store.circuits["acme"].state == state, outcomes


def test_a_failure_of_an_earlier_window_does_not_count(store, process):
    breaker = process()
    breaker.failed("acme")
    breaker.succeeded("acme")
    store.pass_s(60)
    for outcome in "fsssss":
        breaker.succeeded("acme") if outcome == "s" else breaker.failed("acme")

    assert (store.circuits["acme"].state, store.circuits["acme"].failures) == ("closed", 1)


def test_an_open_circuit_admits_no_call_until_it_has_cooled_down(store, process):
    opened(store, process)
    store.pass_s(19.9)
    assert process().admit("acme") == pytest.approx(0.1)
    store.pass_s(0.1)

    assert process().admit("acme") == 0


def test_exactly_one_caller_probes(store, process):
    opened(store, process)
    store.pass_s(20)

    assert [process().admit("acme") for _ in range(3)] == [0, 60, 60]
    assert store.circuits["acme"].state == "half_open"


def test_a_successful_probe_closes_the_circuit(store, process):
    opened(store, process)
    store.pass_s(20)
    prober = process()
    prober.admit("acme")
    prober.succeeded("acme")

    assert process().admit("acme") == 0
    assert (store.circuits["acme"].state, store.circuits["acme"].in_a_row) == ("closed", 0)


def test_a_failed_probe_opens_the_circuit_for_another_cooldown(store, process):
    opened(store, process)
    store.pass_s(20)
    prober = process()
    prober.admit("acme")
    prober.failed("acme")

    assert process().admit("acme") == 20


def test_a_probe_that_died_is_replaced_after_a_minute(store, process):
    opened(store, process)
    store.pass_s(20)
    process().admit("acme")
    store.pass_s(59)
    assert process().admit("acme") == 1
    store.pass_s(1)

    assert [process().admit("acme") for _ in range(2)] == [0, 60]


@pytest.mark.parametrize("outcome", ["failed", "succeeded"])
def test_calls_from_before_the_circuit_opened_change_nothing(store, process, outcome):
    late = process()
    late.admit("acme")
    opened(store, process)
    before = store.circuits["acme"]
    store.pass_s(10)
    getattr(late, outcome)("acme")
    assert store.circuits["acme"] == before
    store.pass_s(10)
    process().admit("acme")
    getattr(late, outcome)("acme")

    assert store.circuits["acme"].state == "half_open"


def test_a_healthy_provider_costs_one_read_in_two_seconds_and_no_write(store):
    breaker = CircuitBreaker(store, now_s=lambda: store.now.timestamp())
    for _ in range(100):
        breaker.admit("acme")
        breaker.succeeded("acme")
    assert (store.reads, store.changes) == (1, 0)
    store.pass_s(CIRCUITS_CACHE_S)
    breaker.admit("acme")

    assert store.reads == 2


def test_only_the_first_success_after_a_failure_is_written(store, process):
    breaker = process()
    breaker.failed("acme")
    for _ in range(10):
        breaker.succeeded("acme")

    assert store.changes == 2


def test_calls_proceed_while_the_store_is_unavailable(process, monkeypatch):
    breaker = process()

    def refuse(*_):
        raise Unavailable("database")

    monkeypatch.setattr(MemoryCircuits, "read", refuse)
    monkeypatch.setattr(MemoryCircuits, "change", refuse)
    breaker.failed("acme")

    assert breaker.admit("acme") == 0


def test_a_probe_that_was_stopped_lets_the_next_caller_probe(store, process):
    opened(store, process)
    store.pass_s(20)
    stopped = process()
    stopped.admit("acme")
    assert process().admit("acme") == 60
    stopped.released("acme")

    assert [process().admit("acme") for _ in range(2)] == [0, 60]


def test_a_call_that_was_not_the_probe_releases_nothing(store, process):
    opened(store, process)
    store.pass_s(20)
    process().admit("acme")
    process().released("acme")

    assert process().admit("acme") == 60


def test_releasing_after_a_finished_probe_changes_nothing(store, process):
    opened(store, process)
    store.pass_s(20)
    breaker = process()
    breaker.admit("acme")
    breaker.succeeded("acme")
    breaker.released("acme")

    assert store.circuits["acme"].state == "closed"
