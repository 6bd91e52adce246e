"""The highest possible cost of a call, which is reserved before the call."""

from decimal import Decimal

import pytest

from parley.llm.messages import Message, ModelRequest, Usage
from parley.llm.model import Model
from parley.llm.tokens import max_request_tokens
from parley.metering.limits import max_cost_usd

REQUEST = ModelRequest([Message("user", "How are you?")], max_output_tokens=100)


def priced(cache_write_usd, *, max_output_tokens=200):
    prices = {"input_usd_per_mtok": Decimal(2), "cached_input_usd_per_mtok": Decimal("0.5"), "output_usd_per_mtok": Decimal(10)}
    write_price = {"cache_write_usd_per_mtok": Decimal(cache_write_usd)}
    return Model(provider="anthropic", name="m", max_output_tokens=max_output_tokens, **prices, **write_price)


@pytest.mark.parametrize("cache_write_usd", ["0.1", "2", "2.5"])
def test_no_use_of_the_vendors_cache_costs_more_than_the_reservation(cache_write_usd):
    model, tokens = priced(cache_write_usd), max_request_tokens(REQUEST)
    uses = [{}, {"cached_input_tokens": tokens}, {"cache_write_tokens": tokens}]

    assert max_cost_usd([model], REQUEST) == max(model.cost_usd(Usage(tokens, 100, **use)) for use in uses)


def test_a_reservation_covers_no_more_output_than_the_model_writes():
    model = priced("2", max_output_tokens=50)

    assert max_cost_usd([model], REQUEST) == model.cost_usd(Usage(max_request_tokens(REQUEST), 50))


def test_a_request_without_a_limit_reserves_all_the_output_that_the_model_writes():
    unlimited = ModelRequest(REQUEST.messages)

    assert max_cost_usd([priced("2")], unlimited) == priced("2").cost_usd(Usage(max_request_tokens(unlimited), 200))


def test_the_reservation_covers_the_dearest_model():
    cheap, dear = priced("2"), priced("20")

    assert max_cost_usd([cheap, dear, cheap], REQUEST) == max_cost_usd([dear], REQUEST) > max_cost_usd([cheap], REQUEST)
