"""The cost table: arithmetic on list prices, the templates and a measured turn."""

from dataclasses import replace

import pytest

from bench.cost.__main__ import BEGIN, END, GUIDE, LOADS, Estimate, StackFacts, estimate, read_prices, report
from bench.harness.documents import with_section
from bench.turns.footprint import Footprint

PRICES = read_prices()
FACTS = StackFacts.read()
TURN = Footprint.load()
IDLE, FEW, SOME, MANY = LOADS


def amounts(load, mode, *, turn=TURN, facts=FACTS):
    return estimate(load, mode, footprint=turn, facts=facts, prices=PRICES)


def test_an_idle_direct_stack_costs_a_few_dollars_and_a_proxy_stack_bills_by_the_hour():
    direct, proxy = sum(amounts(IDLE, "Direct").values()), sum(amounts(IDLE, "Proxy").values())

    assert direct < 5
    assert proxy > 100


def test_the_hourly_bills_of_an_idle_proxy_stack_are_those_of_the_price_lists():
    proxy = amounts(IDLE, "Proxy")

    assert proxy["RDS Proxy"] == pytest.approx(8 * 0.015 * 730)
    assert proxy["Aurora"] == pytest.approx(0.5 * 0.12 * 730)
    assert proxy["NAT"] == pytest.approx((0.045 + 0.005) * 730)


def test_a_million_requests_at_the_gateway_cost_what_the_list_says():
    prices = PRICES | {"assumptions": PRICES["assumptions"] | {"requests_per_turn": 10.0}}
    gateway = Estimate(SOME, mode="Direct", footprint=TURN, facts=FACTS, prices=prices).gateway()

    assert gateway == pytest.approx(3.50)


def test_a_streaming_function_is_billed_for_the_whole_stream():
    only_chat = replace(TURN, invocations={"ChatFunction": 1.0}, turn_ms=10_000.0)
    prices = PRICES | {"assumptions": PRICES["assumptions"] | {"requests_per_turn": 1.0}}
    facts = replace(FACTS, memory_mb={"ChatFunction": 1024})
    functions = Estimate(MANY, mode="Direct", footprint=only_chat, facts=facts, prices=prices).functions()

    assert functions == pytest.approx((10e6 * 10 - 400_000) * 0.0000133334 + 9 * 0.20, rel=1e-6)


@pytest.mark.parametrize("mode", ["Direct", "Proxy"])
def test_more_turns_never_cost_less(mode):
    totals = [sum(amounts(load, mode).values()) for load in LOADS]

    assert totals == sorted(totals)


def test_memory_queues_and_alarms_are_read_from_the_templates():
    assert FACTS.memory_mb["AuthorizerFunction"] == 256
    assert FACTS.queues == 3
    assert FACTS.alarms > 10


def test_the_guide_shows_the_present_table():
    section = report(footprint=TURN, facts=FACTS, prices=PRICES)

    assert f"{BEGIN}\n{section}\n{END}" in GUIDE.read_text(), "run `python -m bench.cost --write`"


def test_only_the_text_between_the_markers_is_replaced():
    assert with_section(f"before\n{BEGIN}\nold\n{END}\nafter", "new", begin=BEGIN, end=END) == f"before\n{BEGIN}\nnew\n{END}\nafter"
    with pytest.raises(ValueError, match="no markers"):
        with_section("nothing here", "new", begin=BEGIN, end=END)
