"""The simulation of growth: checked against queueing theory, and the guide against the present figures."""

import math
from dataclasses import replace

import pytest

from bench.scale.__main__ import BEGIN, END, GUIDE, RAISED, capacity_table, first_to_saturate, growth_table, users_at
from bench.scale.simulation import Simulation
from bench.scale.stations import Assumptions, Setup, Station, stations
from bench.turns.footprint import Footprint

TURN = Footprint.load()
ASSUMED = Assumptions.load()
DEFAULTS = Setup.defaults()
# Nothing but the station under test limits these.
WIDE = Setup(throttle_per_s=1e9, throttle_burst=10**9, max_acu=1_000, follow_up_concurrency=10_000)


def erlang_b(offered, servers):
    """Return the share of arrivals lost by an M/G/c/c system (Erlang 1917), by its stable recursion."""
    lost = 1.0
    for server in range(1, servers + 1):
        lost = offered * lost / (server + offered * lost)
    return lost


def test_refusals_for_want_of_executions_follow_erlangs_loss_formula():
    mean_s = TURN.turn_ms / 1000 * math.exp(0.5**2 / 2)
    few = replace(ASSUMED, lambda_concurrency=30)
    rate = 30 / mean_s
    outcome = Simulation(TURN, WIDE, few, turns_per_s=rate).run(8_000)

    # The transactions lengthen a turn a little, so the measured share is a little higher.
    assert outcome.without_execution / outcome.offered == pytest.approx(erlang_b(30, 30), rel=0.15)


def test_a_throttled_gateway_admits_its_rate():
    narrow = replace(WIDE, throttle_per_s=8.0, throttle_burst=8)
    outcome = Simulation(TURN, narrow, replace(ASSUMED, requests_per_turn=4), turns_per_s=6).run(2_000)

    assert outcome.completed / 2_000 == pytest.approx(2.0, rel=0.05)
    assert outcome.throttled / outcome.offered == pytest.approx(4 / 6, rel=0.05)


def test_a_busy_writer_makes_turns_wait_and_an_idle_one_does_not():
    one_core = replace(WIDE, max_acu=4.0)
    busy = replace(TURN, database_cpu_ms=90.0)
    calm = Simulation(busy, one_core, ASSUMED, turns_per_s=0.5).run(600)
    loaded = Simulation(busy, one_core, ASSUMED, turns_per_s=9.0).run(600)

    assert calm.wait_s(0.5) < 0.01
    assert loaded.wait_s(0.5) > 10 * calm.wait_s(0.5)
    assert loaded.writer_busy_s / 600 == pytest.approx(9.0 * 0.090, rel=0.15)


def test_the_same_seed_gives_the_same_run():
    runs = [Simulation(TURN, DEFAULTS, ASSUMED, turns_per_s=2).run(120) for _ in range(2)]

    assert runs[0] == runs[1]


def test_a_station_is_full_where_demand_meets_capacity():
    station = Station("cores", capacity=2.0, demand=0.05, remedy="more")

    assert station.saturating_rate() == 40
    assert station.utilisation(10) == 0.25


def test_the_setup_is_the_templates():
    assert (DEFAULTS.throttle_per_s, DEFAULTS.max_acu, DEFAULTS.follow_up_concurrency) == (100, 4, 5)


def test_a_million_users_fit_the_raised_setup_and_not_the_defaults():
    limits = {setup: users_at(first_to_saturate(TURN, setup, ASSUMED).saturating_rate(), ASSUMED) for setup in (DEFAULTS, RAISED)}

    assert limits[DEFAULTS] < 1_000_000 < limits[RAISED]


def test_the_guide_shows_the_present_figures():
    text = GUIDE.read_text()
    section = text[text.index(BEGIN) : text.index(END)]

    assert capacity_table(TURN, ASSUMED) in section, "run `python -m bench.scale --write`"
    assert growth_table(TURN, ASSUMED) in section
    assert all(station.name in section for station in stations(TURN, DEFAULTS, ASSUMED))
