"""Exact figures: tokens and prices of a call, the pauses and waits of the router, and the names of circuits."""

from datetime import timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from parley.ids import new_id
from parley.llm.candidates import Candidate, able_candidates
from parley.llm.circuit_breaker import Circuit, CircuitBreaker, circuit_key
from parley.llm.errors import ContextTooLong, ModelCannot, ProviderBusy, ProviderFailed, ProviderTimeout
from parley.llm.messages import (
    Finished,
    GenerationOptions,
    Image,
    Message,
    ModelRequest,
    OutputSchema,
    Source,
    Text,
    TextDelta,
    Thought,
    ToolCall,
    ToolDefinition,
    ToolResult,
    Usage,
)
from parley.llm.model import GuardHit, Model, ModelCall
from parley.llm.prompts import SOURCES_HEADING
from parley.llm.router import ModelRouter, RetryPolicy
from parley.llm.tokens import count_tokens, estimate_request_tokens, estimate_tokens, estimate_usage, max_request_tokens
from tests.fakes.circuits import MemoryCircuits
from tests.support.turns import ScriptedProvider

HELLO = [TextDelta("Hello"), Finished("stop", Usage(12, 3))]
TOOL = ToolDefinition("clock", "Tells the time.", {"type": "object"})
PARTS = [Text("noon"), Image("image/png", b"x"), Thought("o", "sealed"), ToolCall("c", "clock", "{}"), ToolResult("c", "noon")]
FULL = ModelRequest(
    [Message("user", "hi"), Message("assistant", PARTS)],
    system="Be brief.",
    tools=[TOOL],
    facts=["nuts"],
    passages=["Friday"],
    sources=[Source(1, "Safe", "4711")],
    output=OutputSchema("answer", {"type": "object"}),
)
TEXTS = [
    "Be brief.",
    "nuts",
    "Friday",
    SOURCES_HEADING,
    "[1] Safe\n  4711",
    TOOL.text,
    '{"type": "object"}',
    "hi",
    "noon",
    "sealed",
    "clock {}",
    "noon",
]


# Tokens and prices


@pytest.mark.parametrize(("text", "tokens"), [("", 5), ("ab", 5), ("abc", 6), ("ä", 5), ("ää", 6), ("\ud800", 6)])
def test_a_text_has_a_token_for_three_bytes_and_five_more(text, tokens):
    assert estimate_tokens(text) == tokens


def test_everything_in_a_request_is_counted_once():
    messages_with_system, images = 3, 1

    assert estimate_usage(FULL, "so").input_tokens == count_tokens(*TEXTS) + 4 * messages_with_system + 12 + 1000 * images + 3
    assert estimate_request_tokens(FULL) == sum(map(estimate_tokens, TEXTS)) + 1000 * images + 3
    assert max_request_tokens(FULL) == sum(len(text.encode()) for text in TEXTS) + 16 * 2 + 64 + 5000 * images + 1000


def priced(**prices):
    return Model(provider="offline", name="m", **{name: Decimal(value) for name, value in prices.items()})


@pytest.mark.parametrize(
    ("prices", "cost"),
    [
        ({}, "0"),
        ({"input_usd_per_mtok": "2", "output_usd_per_mtok": "10"}, "0.003"),
        ({"input_usd_per_mtok": "2", "cached_input_usd_per_mtok": "0"}, "0.0014"),
        ({"input_usd_per_mtok": "2", "cached_input_usd_per_mtok": "1", "cache_write_usd_per_mtok": "4"}, "0.0021"),
    ],
)
def test_cached_tokens_have_their_own_price_if_there_is_one(prices, cost):
    usage = Usage(1000, 100, cached_input_tokens=300, cache_write_tokens=200)

    assert priced(**prices).cost_usd(usage) == Decimal(cost)


def test_findings_of_guards_are_logged_and_added_up(caplog):
    call, hit = ModelCall("m", priced()), GuardHit("words", "word", "block", "answer", 2)
    call.add_guard_hits([hit])
    call.add_guard_hits([hit, GuardHit("words", "word", "block", "request", 1)])
    logged = [(record.place, record.count) for record in caplog.records if record.message == "guard_hit"]

    assert [(found.place, found.count) for found in call.guard_hits] == [("answer", 4), ("request", 1)]
    assert logged == [("answer", 2), ("answer", 2), ("request", 1)]


# What a model can do


@pytest.mark.parametrize(
    ("fields", "options", "cannot"),
    [
        ({}, {"temperature": 0.0}, None),
        ({"fixed_temperature": True}, {"temperature": 0.0}, "temperature"),
        ({"fixed_temperature": True}, {"options": GenerationOptions(top_p=0.5)}, "top_p"),
        ({"provider": "anthropic"}, {"options": GenerationOptions(top_k=5)}, None),
        ({"provider": "openai"}, {"options": GenerationOptions(top_k=5)}, "top_k"),
        ({"provider": "openai"}, {"options": GenerationOptions(frequency_penalty=0.0)}, None),
        ({"provider": "openai", "api": "responses"}, {"options": GenerationOptions(frequency_penalty=0.0)}, "frequency_penalty"),
        ({"provider": "bedrock"}, {"options": GenerationOptions(frequency_penalty=0.0)}, "frequency_penalty"),
        ({"provider": "bedrock", "api_key": "env:KEY"}, {"options": GenerationOptions(frequency_penalty=0.0)}, None),
        ({}, {"options": GenerationOptions(seed=1)}, None),
        ({}, {"output": OutputSchema("a", {})}, "response_format"),
        ({"abilities": {"json"}}, {"output": OutputSchema("a", {})}, None),
        ({}, {"tools": [TOOL]}, "tools"),
    ],
)
def test_a_request_that_a_model_cannot_serve_is_refused_with_its_field(fields, options, cannot):
    model, request = Model(**{"provider": "offline", "name": "m"} | fields), ModelRequest([], **options)
    if cannot is None:
        model.check(request, id="m")
    else:
        with pytest.raises(ModelCannot) as refused:
            model.check(request, id="m")
        assert refused.value.errors[0]["loc"][-1] == cannot


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "embedding"},
        {"kind": "embedding", "dimensions": 4, "provider": "anthropic"},
        {"kind": "embedding", "dimensions": 4_001},
        {"kind": "rerank", "provider": "openai"},
        {"provider": "builtin"},
        {"provider": "openai-compatible"},
        {"provider": "anthropic", "api": "responses"},
        {"provider": "bedrock", "api": "converse", "api_key": "env:KEY"},
        {"provider": "bedrock", "api": "chat"},
        {"context_tokens": 0},
        {"max_output_tokens": 0},
        {"timeout_s": 0},
    ],
)
def test_fields_of_a_model_that_do_not_fit_together_are_refused(fields):
    with pytest.raises(ValidationError):
        Model(**{"provider": "offline", "name": "m"} | fields)


@pytest.mark.parametrize(
    ("fields", "environment", "is_available"),
    [
        ({}, {}, True),
        ({"api_key": "env:KEY"}, {}, False),
        ({"api_key": "env:KEY"}, {"KEY": "k"}, True),
        ({"provider": "builtin", "kind": "embedding", "dimensions": 4}, {}, False),
        ({"provider": "builtin", "kind": "embedding", "dimensions": 4}, {"PARLEY_EMBEDDER_FUNCTION": "f"}, True),
    ],
)
def test_a_model_is_available_if_its_key_and_its_function_are(fields, environment, is_available):
    assert (Model(**{"provider": "offline", "name": "m"} | fields).obstacle(environment) is None) is is_available


def test_the_first_able_model_is_asked_and_those_after_it_that_can_serve_its_request():
    first, second, third, fourth = candidates = [Candidate(id, priced()) for id in ("a", "b", "c", "d")]

    def build(candidate):
        if candidate is first:
            raise ContextTooLong("a", tokens=2, limit=1)
        return ModelRequest([], system=candidate.id)

    able, request = able_candidates(candidates, build, lambda candidate, request: candidate is not fourth)

    assert (able, request.system) == ([second, third], "b")
    with pytest.raises(ContextTooLong):
        able_candidates([first, first], build, lambda *_: True)


# The router


def candidate(id, **fields):
    return Candidate(id, Model(provider="openai-compatible", name=id, base_url=f"http://{id}.example", **fields))


def router_of(*scripts, store=None, draw=0.5, **policy):
    provider = ScriptedProvider([])
    rounds = list(scripts)

    def stream(name, request):
        provider.requests.append(request)
        step = rounds.pop(0)
        if isinstance(step, Exception):
            raise step
        yield from step

    provider.stream = stream
    breaker = CircuitBreaker(store or MemoryCircuits())
    return ModelRouter(lambda model: provider, breaker, retry_policy=RetryPolicy(**policy), now_s=lambda: 0.0, draw=lambda: draw), provider


@pytest.mark.parametrize(
    ("draw", "longest_s", "calls"), [(0.5, 0.009, 1), (0.5, 0.01, 2), (0.5, 0.02, 3), (0.0, 0.005, 2), (1.0, 0.014, 1)]
)
def test_pauses_double_each_time_and_vary_by_half(draw, longest_s, calls):
    failure = ProviderFailed("acme", "500")
    router, provider = router_of(failure, failure, failure, draw=draw, first_pause_s=0.01, longest_pause_s=longest_s)
    with pytest.raises(ProviderFailed):
        list(router.ask([candidate("one")], FULL, user_id=None, total_s=60))

    assert len(provider.requests) == calls


@pytest.mark.parametrize(("wait_s", "calls"), [(0.01, 2), (0.011, 1), (0.0, 2)])
def test_a_vendors_wait_replaces_our_pause(wait_s, calls):
    router, provider = router_of(ProviderBusy("acme", retry_after_s=wait_s), HELLO, first_pause_s=5.0, longest_pause_s=0.01)
    stream = router.ask([candidate("one")], FULL, user_id=None, total_s=60)
    if calls == 1:
        with pytest.raises(ProviderBusy):
            list(stream)
    else:
        list(stream)

    assert len(provider.requests) == calls


@pytest.mark.parametrize(("total_s", "calls"), [(0.0, 0), (0.01, 1), (0.5, 2)])
def test_no_call_begins_without_time_for_it(total_s, calls):
    router, provider = router_of(ProviderFailed("acme", "500"), HELLO, first_pause_s=0.01)
    stream = router.ask([candidate("one")], FULL, user_id=None, total_s=total_s)
    if calls < 2:
        with pytest.raises(ProviderFailed) as raised:
            list(stream)
        assert isinstance(raised.value, ProviderTimeout) is (calls == 0)
    else:
        list(stream)

    assert len(provider.requests) == calls


def test_three_calls_half_a_second_apart_are_made_and_no_wait_beyond_fifteen_seconds():
    router, _ = router_of()

    assert router.retry_policy == RetryPolicy(calls=3, first_pause_s=0.5, longest_pause_s=15.0)


def test_a_refusal_for_load_counts_against_the_model_if_a_user_waits():
    store = MemoryCircuits()
    router, _ = router_of(ProviderBusy("acme", retry_after_s=60.0), store=store)
    with pytest.raises(ProviderBusy):
        list(router.ask([candidate("one")], FULL, user_id=new_id(), total_s=60))

    assert [circuit.failures for circuit in store.circuits.values()] == [1]


def test_with_all_circuits_open_the_shortest_wait_is_named():
    store = MemoryCircuits()
    for id, seconds in (("one", 5), ("two", 15), ("three", 10)):
        store.circuits[circuit_key(candidate(id).model)] = Circuit("open", opened_at=store.now - timedelta(seconds=seconds))
    router, provider = router_of(store=store)
    with pytest.raises(ProviderBusy) as refused:
        list(router.ask([candidate(id) for id in ("one", "two", "three")], FULL, user_id=new_id(), total_s=60))

    assert (refused.value.retry_after_s, provider.requests) == (5, [])


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"provider": "openai"}, "openai m"),
        ({"provider": "bedrock", "region": "eu-west-1"}, "bedrock eu-west-1 m"),
        ({"provider": "openai", "base_url": "http://a", "region": "eu-west-1"}, "openai http://a m"),
    ],
)
def test_a_circuit_is_named_after_the_place_of_its_model(fields, key):
    assert circuit_key(Model(name="m", **fields)) == key


def test_users_are_told_apart_by_31_bits():
    store, digests = MemoryCircuits(), set()
    for number in range(40):
        CircuitBreaker(store).failed(str(number), ProviderFailed("acme", "500"), user_id=new_id())
        digests.add(store.circuits[str(number)].failed_by)

    assert len(digests) == 40
    assert 2**30 <= max(digests) < 2**31
