"""The circuit breaker's states, with a clock that the test moves."""

import pytest

from parley.errors import Unavailable
from parley.ids import new_id
from parley.llm.circuit_breaker import CIRCUITS_CACHE_S, CircuitBreaker
from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderMisconfigured, ProviderRejected, UnusableAnswer
from tests.fakes.circuits import MemoryCircuits


@pytest.fixture
def store():
    return MemoryCircuits()


@pytest.fixture
def process(store):
    """Return breakers of processes that share the store and its clock, and read it before every call."""
    return lambda: CircuitBreaker(store, now_s=lambda: store.now.timestamp() * 1000)


OUTAGE = ProviderBusy("acme", retry_after_s=None, is_outage=True)
FAILURE = ProviderFailed("acme", "status 500")
ALICE, BOB, CAROL = new_id(), new_id(), new_id()


def fail(breaker, times=1, error=OUTAGE, user_id=ALICE):
    for _ in range(times):
        breaker.failed("acme", error, user_id=user_id)


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
            breaker.succeeded("acme") if outcome == "s" else fail(breaker)
        assert store.circuits["acme"].state == state, outcomes


def test_five_failures_in_a_row_open_the_circuit_however_many_calls_succeeded_before(store, process):
    breaker = process()
    for _ in range(20):
        breaker.succeeded("acme")
    fail(breaker, 4)
    before = store.circuits["acme"].state
    fail(breaker, 1)

    assert (before, store.circuits["acme"].state) == ("closed", "open")


def test_a_failure_of_an_earlier_window_does_not_count(store, process):
    breaker = process()
    fail(breaker)
    breaker.succeeded("acme")
    store.pass_s(60)
    for outcome in "fsssss":
        breaker.succeeded("acme") if outcome == "s" else fail(breaker)

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


def test_a_probe_whose_request_the_vendor_rejects_closes_the_circuit(store, process):
    opened(store, process)
    store.pass_s(20)
    prober = process()
    prober.admit("acme")
    fail(prober, error=ProviderRejected("acme", "status 400"))

    assert [process().admit("acme") for _ in range(2)] == [0, 0]
    assert store.circuits["acme"].state == "closed"


def test_a_failed_probe_opens_the_circuit_for_another_cooldown(store, process):
    opened(store, process)
    store.pass_s(20)
    prober = process()
    prober.admit("acme")
    fail(prober)

    assert process().admit("acme") == 20


def test_a_probe_that_died_is_replaced_after_a_minute(store, process):
    opened(store, process)
    store.pass_s(20)
    process().admit("acme")
    store.pass_s(59)
    assert process().admit("acme") == 1
    store.pass_s(1)

    assert [process().admit("acme") for _ in range(2)] == [0, 60]


def conclude(breaker, outcome):
    breaker.succeeded("acme") if outcome == "succeeded" else fail(breaker)


@pytest.mark.parametrize("outcome", ["failed", "succeeded"])
def test_calls_from_before_the_circuit_opened_change_nothing(store, process, outcome):
    late = process()
    late.admit("acme")
    opened(store, process)
    before = store.circuits["acme"]
    store.pass_s(10)
    conclude(late, outcome)
    assert store.circuits["acme"] == before
    store.pass_s(10)
    process().admit("acme")
    conclude(late, outcome)

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
    fail(breaker)
    for _ in range(10):
        breaker.admit("acme")
        breaker.succeeded("acme")

    assert store.changes == 2


def test_calls_proceed_while_the_store_is_unavailable(process, monkeypatch):
    breaker = process()

    def refuse(*_):
        raise Unavailable("database")

    monkeypatch.setattr(MemoryCircuits, "read", refuse)
    monkeypatch.setattr(MemoryCircuits, "change", refuse)
    fail(breaker)

    assert breaker.admit("acme") == 0


def test_a_probe_that_was_not_stored_does_not_close_the_circuit(store, process, monkeypatch):
    opened(store, process)
    store.pass_s(20)
    lost, other = process(), process()

    def refuse(*_):
        raise Unavailable("database")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryCircuits, "change", refuse)
        assert lost.admit("acme") == 0
    other.admit("acme")
    lost.succeeded("acme")

    assert store.circuits["acme"].state == "half_open"


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


@pytest.mark.parametrize("pause_s", [0, 61])
def test_the_failures_of_one_user_open_no_circuit(store, process, pause_s):
    """Whichever worker they reach, and also if other users' calls succeed between them."""
    for outcome in "fffffsfsfsfsfsfff":
        breaker = process()
        breaker.admit("acme")
        breaker.succeeded("acme") if outcome == "s" else fail(breaker, error=FAILURE)
        store.pass_s(pause_s)

    assert [process().admit("acme") for _ in range(3)] == [0, 0, 0]


def test_a_single_failure_of_another_user_does_not_complete_a_row_of_failures(store, process):
    fail(process(), 10, FAILURE, ALICE)
    fail(process(), 1, FAILURE, BOB)

    assert store.circuits["acme"].state == "closed"


def test_failures_of_several_users_open_the_circuit(store, process):
    for user_id in (ALICE, BOB, CAROL, ALICE, BOB):
        fail(process(), 3, FAILURE, user_id)

    assert process().admit("acme") == 20


@pytest.mark.parametrize(
    "error", [UnusableAnswer("acme", "nonsense"), ProviderRejected("acme", "status 400"), ProviderMisconfigured("acme", "status 401")]
)
def test_a_failure_that_says_nothing_about_others_is_not_counted(store, process, error):
    for user_id in (ALICE, BOB, CAROL) * 3:
        fail(process(), 1, error, user_id)

    assert store.circuits == {}


def test_the_request_that_failed_last_does_not_keep_the_circuit_open_by_failing_as_the_probe(store, process):
    for user_id in (ALICE, BOB, CAROL, BOB, ALICE):
        fail(process(), 1, FAILURE, user_id)
    store.pass_s(20)
    prober, other = process(), process()
    prober.admit("acme")
    fail(prober, 1, FAILURE, ALICE)

    assert other.admit("acme") == 0


def test_the_store_holds_no_user_id(store, process):
    fail(process())

    assert 0 <= store.circuits["acme"].failed_by < 2**31
    assert str(store.circuits["acme"].failed_by) not in str(ALICE.int)


def openings(caplog):
    return [(record.circuit, record.before) for record in caplog.records if record.message == "circuit_opened"]


def test_the_log_names_each_opening_once_and_the_state_before(store, process, caplog):
    opened(store, process)
    fail(process())
    assert openings(caplog) == [("acme", "closed")]
    store.pass_s(20)
    prober = process()
    prober.admit("acme")
    assert len(openings(caplog)) == 1
    fail(prober, user_id=BOB)

    assert openings(caplog) == [("acme", "closed"), ("acme", "half_open")]
