"""Traces, as a real OTLP receiver reads them."""

import subprocess
import sys
import time

import boto3
import pytest

from parley.db.transactions import user_scope
from parley.errors import Unavailable
from parley.jobs import AccountNotice, UpkeepQueue, process_jobs
from parley.llm.errors import ProviderBusy
from parley.observability import traces
from parley.observability.traces import current_traceparent, start_span, unit_of_work
from parley.tools.toolbox import make_toolbox
from tests.fakes.otlp_receiver import attributes_of
from tests.fakes.tool_servers import FakeToolRunner
from tests.support.turns import HELLO, ScriptedProvider, make_services, take

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_unit_of_work_is_one_request_with_the_spans_below_its_root(receiver):
    with unit_of_work("POST", kind="server"):
        start_span("inner", attributes={"a": 1}).end()
    inner, root = receiver.spans

    assert len(receiver.bodies) == 1
    assert (root.name, inner.name, inner.parent_span_id, inner.trace_id) == ("POST", "inner", root.span_id, root.trace_id)
    assert attributes_of(inner) == {"a": 1}


def test_the_resource_names_stack_and_function_and_the_headers_are_sent(receiver):
    with unit_of_work("POST", kind="server"):
        pass

    assert receiver.resource == {"service.name": "unknown", "service.namespace": "parley-test"}
    assert receiver.headers[0]["x-api-key"] == "secret"


def test_a_callers_trace_continues(receiver):
    with unit_of_work("POST", kind="server", traceparent=TRACEPARENT):
        pass
    (root,) = receiver.spans

    assert (root.trace_id.hex(), root.parent_span_id.hex()) == tuple(TRACEPARENT.split("-")[1:3])


def test_an_error_that_ends_the_work_marks_its_span_without_its_text(receiver):
    with pytest.raises(Unavailable), unit_of_work("POST", kind="server"):
        raise Unavailable("canary words")
    (root,) = receiver.spans

    assert (root.status.code, root.status.message, attributes_of(root)["error.type"]) == (2, "", "Unavailable")
    assert b"canary" not in receiver.bodies[0]


def test_a_trace_continues_through_a_queue(receiver, aws):
    url = boto3.client("sqs").create_queue(QueueName="traced")["QueueUrl"]
    with unit_of_work("POST", kind="server"):
        UpkeepQueue(url).send(AccountNotice("new_api_key", to="a@example.com"))
    (message,) = boto3.client("sqs").receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    attributes = {name: {"stringValue": one["StringValue"]} for name, one in message["MessageAttributes"].items()}
    process_jobs([{"messageId": "m-1", "body": message["Body"], "messageAttributes": attributes}], handle=lambda job: None)
    sent, processed = receiver.spans

    assert (processed.trace_id, processed.parent_span_id) == (sent.trace_id, sent.span_id)
    assert attributes_of(processed)["messaging.message.id"] == "m-1"


def test_a_model_call_follows_the_conventions_for_generative_ai(engine, alice, receiver):
    with unit_of_work("POST", kind="server"):
        take(make_services(engine, ScriptedProvider(HELLO)), alice, "canary", model="priced")
    call, _ = receiver.spans
    attributes = attributes_of(call)

    assert call.name == f"chat {attributes['gen_ai.request.model']}"
    assert {name: attributes[name] for name in ("gen_ai.operation.name", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
    }
    assert attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert (attributes["gen_ai.provider.name"], attributes["gen_ai.usage.cache_read.input_tokens"]) == ("openai-compatible", 400)
    assert 0 <= attributes["gen_ai.response.time_to_first_chunk"] < 60
    assert b"canary" not in receiver.bodies[0]
    assert b"Hello" not in receiver.bodies[0]


def test_each_failed_call_has_a_span_with_the_kind_of_its_error(engine, alice, receiver):
    with unit_of_work("POST", kind="server"):
        take(make_services(engine, ScriptedProvider([ProviderBusy("acme", retry_after_s=0.0)])), alice)
    *calls, _ = receiver.spans

    assert len(calls) == 3
    assert {(attributes_of(call)["error.type"], call.status.code) for call in calls} == {("provider_busy", 2)}


def test_a_tool_call_has_a_span_and_an_invented_name_is_not_in_it(engine, alice, receiver):
    with user_scope(engine, alice.id) as connection:
        toolbox = make_toolbox(connection, FakeToolRunner(), user_id=alice.id, scopes=("chat", "tools"))
    with unit_of_work("POST", kind="server"):
        toolbox.run("shout", {"text": "canary"}, timeout_s=3.0)
        toolbox.run("canary", {}, timeout_s=3.0)
    known, unknown, _ = receiver.spans

    assert (known.name, unknown.name) == ("execute_tool shout", "execute_tool unknown")
    assert attributes_of(known)["gen_ai.operation.name"] == "execute_tool"
    assert attributes_of(unknown)["error.type"] == "tool_error"
    assert b"canary" not in receiver.bodies[0]


def test_a_request_is_named_by_its_route(conversation, alice, receiver):
    answer = conversation.get(f"/conversations/{alice.id}", as_=alice, headers={"traceparent": TRACEPARENT})
    (root,) = receiver.spans
    attributes = attributes_of(root)

    assert (answer.status, root.name, root.trace_id.hex()) == (404, "GET /conversations/{id}", TRACEPARENT.split("-")[1])
    assert (attributes["http.response.status_code"], attributes["http.route"]) == (404, "/conversations/{id}")
    assert attributes["parley.request_id"] == answer.headers["x-request-id"]


def test_a_receiver_that_is_away_is_not_asked_again_for_a_while(receiver, monkeypatch):
    receiver.status = 400
    for _ in range(3):
        with unit_of_work("POST", kind="server"):
            pass
    assert len(receiver.bodies) == 1

    receiver.status, now_s = 200, time.monotonic()
    monkeypatch.setattr(traces.time, "monotonic", lambda: now_s + 61)
    with unit_of_work("later", kind="server"):
        pass
    assert [span.name for span in receiver.spans][1:] == ["later"]


def test_without_an_endpoint_nothing_is_recorded_and_the_sdks_are_not_imported():
    code = (
        "import sys, parley.observability; from parley.observability.traces import is_tracing; "
        "print(is_tracing(), {name.split('.')[0] for name in sys.modules} & {'opentelemetry', 'sentry_sdk', 'requests'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "set()"]
    assert current_traceparent() is None
