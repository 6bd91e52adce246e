"""Circuits that changed after a process read them, and what a circuit allows by itself."""

from datetime import timedelta

import pytest

from parley.llm.circuit_breaker import COOLDOWN, Circuit, CircuitBreaker
from tests.fakes.circuits import MemoryCircuits


@pytest.fixture
def store():
    store = MemoryCircuits()
    store.circuits["acme"] = Circuit("open", opened_at=store.now - COOLDOWN)
    return store


@pytest.fixture
def informed(store):
    """Return a process that has just read that the circuit has cooled down."""
    breaker = CircuitBreaker(store, now_s=lambda: 0.0)
    breaker.admit("other")
    return breaker


def test_a_process_that_did_not_see_the_probe_waits_for_it(store, informed):
    CircuitBreaker(store).admit("acme")
    probed = store.circuits["acme"]
    store.pass_s(1)

    assert (informed.admit("acme"), store.circuits["acme"]) == (59, probed)


def test_a_process_that_waits_for_the_probe_of_another_does_not_end_it(store, informed):
    CircuitBreaker(store).admit("acme")
    informed.admit("acme")
    informed.succeeded("acme")

    assert store.circuits["acme"].state == "half_open"


def test_a_process_that_did_not_see_the_circuit_close_probes_nothing(store, informed):
    store.circuits["acme"] = Circuit()

    assert (informed.admit("acme"), store.circuits["acme"]) == (0, Circuit())


@pytest.mark.parametrize(("seconds", "may_probe"), [(19.5, False), (20, True)])
def test_an_open_circuit_may_be_probed_after_twenty_seconds(store, seconds, may_probe):
    circuit = Circuit("open", opened_at=store.now - timedelta(seconds=seconds))

    assert (circuit.probing(store.now) is not None) == may_probe


def test_only_a_circuit_with_a_probe_can_be_released(store):
    probed = Circuit("half_open", opened_at=store.now, probe_at=store.now)

    assert probed.released() == Circuit("half_open", opened_at=store.now)
    assert [circuit.released() for circuit in (Circuit("half_open"), Circuit("open"), Circuit())] == [None] * 3
