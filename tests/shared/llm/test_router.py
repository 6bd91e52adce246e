"""The retry loop: scripted providers for each rule, and the real SDK against a vendor with faults."""

import random
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from importlib import import_module

import pytest

from parley.ids import new_id
from parley.llm import call_monitor
from parley.llm.candidates import Candidate
from parley.llm.circuit_breaker import COOLDOWN, Circuit, CircuitBreaker
from parley.llm.errors import ProviderBusy, ProviderFailed, ProviderMisconfigured, ProviderRejected, ProviderTimeout
from parley.llm.messages import Finished, Message, ModelRequest, TextDelta, Thought, ToolCall, Usage
from parley.llm.model import Model
from parley.llm.provider_registry import ProviderRegistry
from parley.llm.router import CallStarted, ModelRouter, RetryPolicy
from tests.fakes.circuits import MemoryCircuits
from tests.fakes.cloudwatch import read_metrics, total
from tests.fakes.vendor import refuses, resets, running_vendor, says, streams
from tests.support.turns import ScriptedProvider

ASKED = ModelRequest([Message("user", "How are you?")])
HELLO = [TextDelta("Hel"), TextDelta("lo"), Finished("stop", Usage(12, 3, 4))]
FAILED, BUSY = ProviderFailed("acme", "500"), ProviderBusy("acme", retry_after_s=0.01)
UNREACHABLE = ProviderFailed("acme", "no connection", is_outage=True)


def candidate(id, **fields):
    prices = {"input_usd_per_mtok": Decimal(2), "output_usd_per_mtok": Decimal(10)}
    return Candidate(id, Model(provider="openai-compatible", name=id, **{"base_url": f"http://{id}.example/v1"} | prices | fields))


ONE, TWO, THREE = (candidate(id) for id in ("one", "two", "three"))


@dataclass
class Scripts:
    """Plays a list of scripts for each model, one per call."""

    scripts: dict[str, list[list[object]]]
    called: list[str] = field(default_factory=list)

    def __call__(self, model):
        return self

    def stream(self, name, request):
        self.called.append(name)
        for step in self.scripts[name].pop(0):
            if isinstance(step, Exception):
                raise step
            yield step


@pytest.fixture
def store():
    return MemoryCircuits()


@pytest.fixture
def ask(store):
    """Call the candidates with scripts, by default for a new user, and return the stream and the scripts."""

    def ask(candidates=(ONE,), total_s=5.0, reserve_again=None, is_background=False, user_id=None, **scripts):
        provider = Scripts(scripts)
        retry_policy = RetryPolicy(first_pause_s=0.001, longest_pause_s=1.0)
        router = ModelRouter(provider, CircuitBreaker(store), retry_policy=retry_policy, is_background=is_background)
        stream = router.ask(candidates, ASKED, user_id=user_id or new_id(), total_s=total_s, reserve_again=reserve_again)
        return stream, provider

    return ask


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def calls_of(stream):
    return [(call.model_id, call.status, call.usage.is_estimated) for call in stream.calls]


def test_a_successful_answer_takes_one_call(ask):
    stream, _ = ask(one=[HELLO])
    events = list(stream)

    assert isinstance(events[0], CallStarted)
    assert events[1:] == HELLO
    assert calls_of(stream) == [("one", "completed", False)]
    assert stream.calls[0].cost_usd == Decimal("0.000054")


@pytest.mark.parametrize("fault", [FAILED, BUSY, ProviderTimeout("acme", "t"), ProviderBusy("acme", retry_after_s=None)])
def test_a_failure_before_the_first_text_falls_back_immediately(ask, fault):
    stream, scripts = ask([ONE, TWO], one=[[fault]], two=[HELLO])

    assert text_of(stream) == "Hello"
    assert scripts.called == ["one", "two"]
    assert [call.error_code for call in stream.calls] == [fault.code, None]
    assert stream.calls[0].usage == Usage()


@pytest.mark.parametrize(("asked", "limit"), [(None, 50), (80, 50), (20, 20)])
def test_a_model_is_asked_for_no_more_output_than_its_own_limit(store, asked, limit):
    provider = ScriptedProvider(HELLO)
    router, small = ModelRouter(lambda model: provider, CircuitBreaker(store)), candidate("small", max_output_tokens=50)
    list(router.ask([small], replace(ASKED, max_output_tokens=asked), user_id=new_id(), total_s=5.0))

    assert [request.max_output_tokens for request in provider.requests] == [limit]


def test_without_a_fallback_the_same_model_is_called_again(ask):
    stream, scripts = ask(one=[[FAILED], [BUSY], HELLO])

    assert text_of(stream) == "Hello"
    assert scripts.called == ["one", "one", "one"]


def test_the_loop_alternates_and_ends_after_three_calls(ask):
    stream, scripts = ask([ONE, TWO], one=[[FAILED], [FAILED], HELLO], two=[[FAILED]])
    with pytest.raises(ProviderFailed):
        list(stream)

    assert scripts.called == ["one", "two", "one"]


def test_a_rejected_request_is_sent_to_no_other_model(ask, store):
    stream, scripts = ask([ONE, TWO], one=[[ProviderRejected("acme", "400")]], two=[HELLO])
    with pytest.raises(ProviderRejected):
        list(stream)

    assert scripts.called == ["one"]
    assert store.circuits == {}


def test_a_refused_key_falls_back_and_is_not_tried_again(ask, caplog):
    stream, scripts = ask([ONE, TWO], one=[[ProviderMisconfigured("acme", "401")]], two=[[FAILED], HELLO])

    assert text_of(stream) == "Hello"
    assert scripts.called == ["one", "two", "two"]
    assert "provider_misconfigured" in caplog.messages


def test_after_the_first_text_nothing_is_repeated(ask):
    stream, scripts = ask([ONE, TWO], one=[[TextDelta("Hel"), FAILED]], two=[HELLO])
    events = []
    with pytest.raises(ProviderFailed):
        events.extend(iter(lambda: next(stream), None))

    assert scripts.called == ["one"]
    assert calls_of(stream) == [("one", "interrupted", True)]


def test_invisible_events_do_not_commit_to_a_model(ask):
    stream, _ = ask([ONE, TWO], one=[[Thought("one", "hm"), TextDelta(""), FAILED]], two=[HELLO])

    assert [event for event in stream if not isinstance(event, CallStarted)] == HELLO


def test_a_tool_call_commits_to_a_model(ask):
    stream, scripts = ask([ONE, TWO], one=[[ToolCall("1", "weather", "{}"), FAILED]], two=[HELLO])
    with pytest.raises(ProviderFailed):
        list(stream)

    assert scripts.called == ["one"]


def test_an_answer_without_finished_is_a_failure(ask):
    stream, _ = ask(one=[[TextDelta("Hel")]])
    with pytest.raises(ProviderFailed, match="no end"):
        list(stream)


def test_a_wait_longer_than_the_longest_pause_ends_the_loop(ask):
    stream, scripts = ask(one=[[ProviderBusy("acme", retry_after_s=7.0)], HELLO])
    with pytest.raises(ProviderBusy) as caught:
        list(stream)

    assert (caught.value.retry_after_s, scripts.called) == (7.0, ["one"])


def test_a_requested_wait_is_respected_within_the_deadline(ask):
    stream, scripts = ask(one=[[ProviderBusy("acme", retry_after_s=0.5)], HELLO], total_s=0.2)
    with pytest.raises(ProviderBusy):
        list(stream)

    assert scripts.called == ["one"]


class Silent:
    """A provider whose stream blocks until it is closed."""

    def __init__(self, *events):
        self.events, self.closed, self.waiting = list(events), threading.Event(), threading.Event()

    def stream(self, name, request):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self.events:
            return self.events.pop(0)
        self.waiting.set()
        self.closed.wait(10)
        raise StopIteration

    def close(self):
        self.closed.set()


def routed(store, providers):
    return ModelRouter(lambda model: providers[model.name], CircuitBreaker(store), retry_policy=RetryPolicy(first_pause_s=0.001))


def test_a_model_that_does_not_respond_falls_back(store):
    hasty = candidate("one", timeout_s=0.05)
    stream = routed(store, {"one": Silent(), "two": Scripts({"two": [HELLO]})}).ask([hasty, TWO], ASKED, user_id=new_id(), total_s=5.0)

    assert text_of(stream) == "Hello"
    assert calls_of(stream) == [("one", "failed", True), ("two", "completed", False)]


def test_an_answer_that_exceeds_the_deadline_is_interrupted(store):
    stream = routed(store, {"one": Silent(TextDelta("Hel"))}).ask([ONE], ASKED, user_id=new_id(), total_s=0.1)
    events = [next(stream), next(stream)]
    with pytest.raises(ProviderTimeout, match="no time left"):
        next(stream)

    assert events[1:] == [TextDelta("Hel")]
    assert calls_of(stream) == [("one", "interrupted", True)]


def test_another_thread_can_close_a_stream_that_is_being_read(store):
    silent = Silent(TextDelta("Hel"))
    stream = routed(store, {"one": silent}).ask([ONE, TWO], ASKED, user_id=new_id(), total_s=5.0)
    closing = threading.Thread(target=lambda: (silent.waiting.wait(5), stream.close()))
    closing.start()
    events = list(stream)
    closing.join()

    assert text_of(events) == "Hel"
    assert calls_of(stream) == [("one", "stopped", True)]


def test_a_repeated_call_that_may_cost_twice_reserves_again(store):
    hasty, reserved = candidate("one", timeout_s=0.05), []
    stream = routed(store, {"one": Silent(), "two": Scripts({"two": [HELLO]})}).ask(
        [hasty, TWO], ASKED, user_id=new_id(), total_s=5.0, reserve_again=lambda: reserved.append(1)
    )
    list(stream)

    assert reserved == [1]


def test_a_refusal_costs_nothing_and_reserves_nothing(ask):
    reserved = []
    stream, _ = ask([ONE, TWO], reserve_again=lambda: reserved.append(1), one=[[BUSY]], two=[HELLO])
    list(stream)

    assert (reserved, stream.calls[0].usage) == ([], Usage())


def test_a_provider_with_an_open_circuit_is_skipped_without_a_call(ask):
    for _ in range(5):
        list(ask([ONE, TWO], one=[[FAILED]], two=[HELLO])[0])
    stream, scripts = ask([ONE, TWO], one=[HELLO], two=[HELLO])

    assert text_of(stream) == "Hello"
    assert scripts.called == ["two"]


def test_one_users_failures_open_no_circuit_for_others(ask):
    alice = new_id()
    for _ in range(4):
        with pytest.raises(ProviderFailed):
            list(ask(one=[[FAILED], [FAILED], [FAILED]], user_id=alice)[0])
    stream, _ = ask(one=[HELLO])

    assert text_of(stream) == "Hello"


def test_an_answer_of_many_events_is_one_call_of_its_circuit(store):
    provider = Scripts({"one": [HELLO, *[[UNREACHABLE]] * 3]})
    router = ModelRouter(provider, CircuitBreaker(store), retry_policy=RetryPolicy(first_pause_s=0.001, longest_pause_s=1.0))
    list(router.ask([ONE], ASKED, user_id=new_id(), total_s=5.0))
    with pytest.raises(ProviderFailed):
        list(router.ask([ONE], ASKED, user_id=new_id(), total_s=5.0))

    assert [circuit.calls for circuit in store.circuits.values()] == [1 + 3]


@pytest.mark.parametrize(("limit_s", "loaded"), [(60.0, 0), (-1.0, 2)])
def test_only_an_answer_that_lasts_loads_the_tokenizer(ask, monkeypatch, limit_s, loaded):
    loads = []
    monkeypatch.setattr(call_monitor, "WARM_UP_AFTER_S", limit_s)
    monkeypatch.setattr(call_monitor.tokens, "warm_up", lambda: loads.append(1))
    list(ask(one=[HELLO])[0])

    assert len(loads) == loaded


def test_models_of_one_server_have_circuits_of_their_own(ask):
    one, other = (candidate(name, base_url="http://both.example/v1") for name in ("one", "other"))
    for _ in range(5):
        with pytest.raises(ProviderFailed):
            list(ask([one], one=[[UNREACHABLE], [UNREACHABLE], [UNREACHABLE]])[0])
    stream, _ = ask([other], other=[HELLO])

    assert text_of(stream) == "Hello"


def test_with_every_circuit_open_the_caller_learns_when_to_retry(ask):
    for _ in range(2):
        with pytest.raises(ProviderFailed, match="no connection"):  # also of the call that opened the circuit
            list(ask(one=[[UNREACHABLE], [UNREACHABLE], [UNREACHABLE]])[0])
    with pytest.raises(ProviderBusy) as caught:
        list(ask(one=[HELLO])[0])

    assert caught.value.retry_after_s == pytest.approx(20)


@pytest.mark.parametrize(("fault", "states"), [(ProviderBusy("acme", retry_after_s=0.01, is_outage=True), set()), (UNREACHABLE, {"open"})])
def test_background_work_refused_for_load_opens_no_circuit(ask, store, fault, states):
    for _ in range(2):
        with pytest.raises(ProviderFailed):
            list(ask(one=[[fault], [fault], [fault]], is_background=True)[0])

    assert {circuit.state for circuit in store.circuits.values()} == states


@pytest.mark.parametrize("folder", ["ingest", "summarize"])
def test_background_functions_use_a_background_router(folder, environment):
    assert import_module(f"functions.{folder}.app").services.router.is_background


OVERLOADED = says(b'data: {"error": {"type": "overloaded_error"}}\n\n')


@pytest.mark.parametrize(
    ("fault", "is_billed"), [(streams(finish=None), True), (OVERLOADED, False), (refuses(500), False), (resets, False)]
)
def test_a_call_that_ends_before_its_first_text_is_billed_unless_it_was_refused(store, fault, is_billed):
    with running_vendor(fault) as vendor:
        router = ModelRouter(vendor.closing(ProviderRegistry({})), CircuitBreaker(store), retry_policy=RetryPolicy(calls=1))
        stream = router.ask([candidate("one", base_url=vendor.url)], ASKED, user_id=new_id(), total_s=10.0)
        with pytest.raises(ProviderFailed):
            list(stream)

    assert (stream.calls[0].usage.input_tokens > 0, stream.calls[0].usage.is_estimated) == (is_billed, is_billed)


FAULTS = [
    refuses(500),
    refuses(503),
    refuses(529),
    refuses(429, headers={"Retry-After": "0"}),
    resets,
    says(b"data: {garbage\n\n"),
    streams(finish=None),
]


def test_with_30_percent_faults_and_a_healthy_fallback_nearly_every_turn_is_answered(store):
    chance, calls, answered = random.Random(5), Counter(), 0
    with running_vendor() as faulty, running_vendor(streams("Hel", "lo")) as healthy:
        good = faulty.script
        faulty.script = lambda handler: (chance.choice(FAULTS) if chance.random() < 0.3 else good)(handler)
        chosen = [candidate(name, base_url=vendor.url) for name, vendor in (("one", faulty), ("two", healthy))]
        providers = healthy.closing(ProviderRegistry({}))
        router = ModelRouter(providers, CircuitBreaker(store), retry_policy=RetryPolicy(first_pause_s=0.001))
        for _ in range(300):
            stream = router.ask(chosen, ASKED, user_id=new_id(), total_s=10.0)
            answered += text_of(stream) == "Hello"
            calls[len(stream.calls)] += 1
            store.pass_s(1)

    assert answered / 300 >= 0.999
    assert max(calls) <= 3
    assert calls[2] > 30


@pytest.mark.parametrize("script", [HELLO, [ProviderMisconfigured("acme", "401")]])
def test_a_probe_without_a_result_leaves_the_circuit_to_the_next_caller(store, ask, script):
    """A probe that is closed before its first text or refused for our key does not block other callers for a minute."""
    key = "openai-compatible http://one.example/v1 one"
    store.circuits[key] = Circuit("open", opened_at=store.now - COOLDOWN)
    stream, _ = ask(one=[script])
    with suppress(ProviderMisconfigured):
        assert isinstance(next(stream), CallStarted)
        stream.close() if script is HELLO else list(stream)

    assert CircuitBreaker(store).admit(key) == 0


def test_failed_calls_and_calls_of_a_second_choice_are_counted(ask, capsys):
    text_of(ask([ONE, TWO], one=[[FAILED]], two=[HELLO])[0])
    data = read_metrics(capsys.readouterr().out)

    assert (total(data, "ProviderErrors"), total(data, "Fallbacks")) == (1, 1)


def test_an_answer_of_the_first_choice_counts_nothing(ask, capsys):
    text_of(ask([ONE, TWO], one=[HELLO])[0])

    assert read_metrics(capsys.readouterr().out) == []


def test_the_first_text_of_a_probe_lets_others_call_the_model(ask, store):
    key = "openai-compatible http://one.example/v1 one"
    store.circuits[key] = Circuit("open", opened_at=store.now - COOLDOWN)
    stream, _ = ask(one=[HELLO])
    events = [next(stream), next(stream)]

    assert (events[1], CircuitBreaker(store).admit(key)) == (HELLO[0], 0)
