"""Responses in the background: created, read, followed and cancelled, by the official SDK.

The function's harness returns a response only after its run, so the tests look into a running response from the vendor's thread.
"""

import threading
from types import SimpleNamespace

import openai
import pytest

from functions.chat.responses_api import background, stored_responses
from parley.deadline import Deadline
from tests.fakes.vendor import refuses, streams
from tests.functions.chat.openai_api.test_client_tools import ENDED, in_pieces
from tests.functions.chat.responses_api.test_tools import ADD
from tests.support.api_gateway import Function, rest_event
from tests.support.postgres import dropped_once

ASK = {"model": "compatible", "input": "hello", "background": True}
LONG = ("Hel", "lo", " again", " and", " again")


@pytest.fixture
def other(chat, vendor, alice, row):
    """Another worker's view of the user's newest response: its id, and functions that read, follow, cancel and delete it."""
    from functions.chat import app

    services = app.app._app.state.services

    def call(function, **options):
        newest = row("SELECT id FROM responses WHERE user_id = :u ORDER BY id DESC LIMIT 1", u=alice.id).id
        return function(services, alice.principal, f"resp_{newest.hex}", **options)

    def follow(*arguments):
        return list(background.follow(*arguments, after=-1, deadline=Deadline.after(20)))

    functions = {"read": background.read, "cancel": background.cancel, "remove": stored_responses.remove, "follow": follow}
    return SimpleNamespace(**{name: lambda function=function: call(function) for name, function in functions.items()})


@pytest.fixture
def during(vendor, monkeypatch):
    """Return a function that scripts a vendor: it sends a text, calls the function, and goes on after a tick."""
    monkeypatch.setattr(background, "TICK_S", 0.02)
    seen = []

    def during(call, *, at=2):
        def before(index):
            threading.Event().wait(0.06)  # a tick logs what has arrived
            if index == at:
                seen.append(call())

        vendor.script = streams(*LONG, before=before)
        return seen

    return during


def test_a_response_in_the_background_is_returned_at_once_and_read_later(sdk):
    created = sdk.responses.create(**ASK)
    read = sdk.responses.retrieve(created.id)

    assert (created.status, created.background, created.output, created.usage) == ("in_progress", True, [], None)
    assert (read.status, read.output_text, read.usage.output_tokens) == ("completed", "Hello", 3)


def test_while_it_runs_it_is_shown_as_running(sdk, during, other):
    seen = during(other.read)
    sdk.responses.create(**ASK)

    assert (seen[0].status, seen[0].output) == ("in_progress", [])


def test_it_cannot_be_continued_while_it_runs(sdk, change):
    id = sdk.responses.create(**ASK).id
    change("UPDATE responses SET heartbeat_at = now()")
    with pytest.raises(openai.BadRequestError, match="still running") as refused:
        sdk.responses.create(model="compatible", input="and?", previous_response_id=id)

    assert refused.value.param == "previous_response_id"


def test_its_events_are_those_of_any_stream_and_can_be_read_again_from_any_of_them(sdk, vendor):
    vendor.script = in_pieces((0, '{"a"'), (0, ": 1}"), (1, '{"a": 2}'), end=ENDED)
    live = list(sdk.responses.create(**ASK, tools=[ADD], stream=True))
    id = live[0].response.id

    assert [event.type for event in live if "delta" in event.type] == ["response.function_call_arguments.delta"] * 3
    assert list(sdk.responses.retrieve(id, stream=True)) == live
    assert list(sdk.responses.retrieve(id, stream=True, starting_after=4)) == live[5:]
    assert sdk.responses.retrieve(id) == live[-1].response


def test_a_reader_follows_a_running_response_to_its_end(sdk, during, other):
    followed, threads = [], []

    def follow():
        threads.append(threading.Thread(target=lambda: followed.extend(other.follow())))
        threads[0].start()

    during(follow)
    live = list(sdk.responses.create(**ASK, stream=True))
    threads[0].join()

    assert [event["type"] for event in followed] == [event.type for event in live]
    assert followed[-1]["response"]["output"][0]["content"][0]["text"] == "".join(LONG)


def test_a_response_is_cancelled_and_keeps_its_output_so_far(sdk, during, other, row, alice):
    seen = during(other.cancel)
    *events, last = sdk.responses.create(**ASK, stream=True)
    read = sdk.responses.retrieve(last.response.id)

    assert (last.type, last.response.status, last.response) == ("response.incomplete", "cancelled", read)
    assert read.output_text == seen[0].output[0].content[0].text == "Hello"
    assert len([event for event in events if event.type == "response.output_text.delta"]) < len(LONG)
    assert row("SELECT count(*) AS n FROM usage WHERE user_id = :u", u=alice.id).n == 1


def test_a_response_that_has_ended_is_cancelled_in_vain(sdk):
    id = sdk.responses.create(**ASK).id

    assert sdk.responses.cancel(id).status == "completed"


def test_only_a_response_in_the_background_is_cancelled(sdk):
    id = sdk.responses.create(model="compatible", input="hello").id
    with pytest.raises(openai.BadRequestError, match="background"):
        sdk.responses.cancel(id)


def test_a_deleted_response_stops_its_run_which_is_paid_for(sdk, during, other, row, alice):
    during(other.remove)
    *_, last = sdk.responses.create(**ASK, stream=True)

    assert (last.type, last.response.output_text) == ("response.incomplete", "Hello again")
    assert row("SELECT count(*) AS n FROM responses WHERE user_id = :u", u=alice.id).n == 0
    assert row("SELECT count(*) AS n FROM usage WHERE user_id = :u", u=alice.id).n == 1


def test_a_response_whose_worker_has_died_is_failed_with_its_output_so_far(sdk, during, other, change):
    def die():
        change("UPDATE responses SET heartbeat_at = now() - interval '31 seconds'")
        return other.read()

    seen = during(die)
    *_, last = sdk.responses.create(**ASK, stream=True)

    assert (seen[0].status, seen[0].error.code, seen[0].output[0].content[0].text) == ("failed", "interrupted", "Hello")
    assert (last.type, last.response.status) == ("response.failed", "failed")


def test_a_vendors_failure_is_in_the_response(sdk, vendor):
    vendor.script = refuses(400)
    id = sdk.responses.create(**ASK).id
    read = sdk.responses.retrieve(id)

    assert (read.status, read.error.code) == ("failed", "provider_rejected")


def test_a_request_that_can_never_run_is_refused_at_once(sdk):
    with pytest.raises(openai.NotFoundError):
        sdk.responses.create(**ASK | {"model": "odd"})
    with pytest.raises(openai.BadRequestError, match="always stored"):
        sdk.responses.create(**ASK, store=False)


@pytest.mark.parametrize("chunks", [1, 2])
def test_a_response_goes_on_if_its_client_leaves(chat, vendor, alice, other, chunks):
    """The first chunk has the headers alone."""
    answer = chat.handler(rest_event("POST", "/v1/responses", ASK | {"stream": True}, as_=alice, headers={}), Function.CONTEXT)
    for _ in range(chunks):
        next(answer)
    answer.close()

    assert other.read().status == "completed"


def test_a_repeated_request_gets_the_same_response(sdk, vendor):
    key = {"extra_headers": {"Idempotency-Key": "k"}}
    first, second = sdk.responses.create(**ASK, **key), sdk.responses.create(**ASK, **key)

    assert (second.id, second.status, len(vendor.requests)) == (first.id, "completed", 1)


HELD = """
SELECT (SELECT count(*) FROM stream_leases WHERE user_id = :u) AS leases,
       (SELECT count(*) FROM budget_reservations WHERE user_id = :u) AS reservations,
       (SELECT count(*) FROM responses WHERE user_id = :u) AS responses
"""


def test_a_response_that_cannot_be_stored_holds_nothing_and_can_be_asked_for_again(chat, sdk, row, alice, postgres):
    from functions.chat.app import engine

    key = {"extra_headers": {"Idempotency-Key": "k"}}
    with dropped_once(engine, postgres, before="INSERT INTO responses"), pytest.raises(openai.InternalServerError):
        sdk.responses.create(**ASK | {"model": "priced"}, **key)

    assert tuple(row(HELD, u=alice.id)) == (0, 0, 0)
    assert sdk.responses.retrieve(sdk.responses.create(**ASK | {"model": "priced"}, **key).id).status == "completed"
