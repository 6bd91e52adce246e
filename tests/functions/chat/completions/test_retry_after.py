"""A vendor's `Retry-After` after the stream has begun, when no header can carry it."""

import json
import re
import threading

import pytest

from tests.fakes.vendor import refuses

HELLO = [{"role": "user", "content": "hello"}]
MODEL = {"model": "compatible", "stream": True}


def refuses_late(handler):
    """Refuse the call for load, after the client has received a ping."""
    threading.Event().wait(0.1)
    refuses(429, headers={"Retry-After": "20"})(handler)


@pytest.fixture
def ask(chat, vendor, alice, monkeypatch):
    """Return a function that asks a vendor who refuses late, and returns the data of the stream's events."""
    monkeypatch.setattr("functions.chat.completions.completion.PING_S", 0.02)
    vendor.script = refuses_late

    def ask(path, **body):
        answer = chat.post(path, MODEL | body, as_=alice)
        assert answer.status == 200
        return [json.loads(data) for data in re.findall("^data: (.+)$", answer.body.decode(), re.MULTILINE)]

    return ask


def test_a_failed_chunk_says_when_to_come_back(ask):
    error = ask("/v1/chat/completions", messages=HELLO)[-1]["error"]

    assert (error["code"], error["retry_after"]) == ("rate_limit_exceeded", 20)


def test_a_failed_response_says_so_in_the_words_that_codex_reads(ask):
    error = ask("/v1/responses", input="hello")[-1]["response"]["error"]

    assert (error["code"], error["retry_after"]) == ("rate_limit_exceeded", 20)
    assert error["message"].endswith("Please try again in 20s.")


def test_a_failed_message_says_so_in_its_details(ask):
    error = ask("/v1/messages", messages=HELLO, max_tokens=9)[-1]["error"]

    assert (error["type"], error["details"]["retry_after"]) == ("rate_limit_error", 20)


def test_a_failed_turn_says_so_and_its_log_repeats_it(chat, ask, alice):
    started, failed = ask("/chat", message="hello")
    logged = chat.get(f"/chat/turns/{started['turn_id']}/events", as_=alice).events[-1][1]

    assert (failed["code"], failed["retry_after"], logged) == ("provider_busy", 20, failed)
