"""A completion in OpenAI's format, as sent to the client."""

import asyncio
import json

import pytest

from functions.chat.completions.completion import CompletionStream
from functions.chat.openai_api.responses import completion_response
from functions.chat.turn.events import Ping
from parley.llm.errors import ProviderFailed
from parley.llm.messages import Finished, TextDelta

EVENTS = (TextDelta("Hel"), Ping(), TextDelta("lo"), Finished("stop"))


def events(*events_):
    for event in events_:
        if isinstance(event, Exception):
            raise event
        yield event


def sent(*events_, stream=True):
    """Return the status and the chunks of the body."""
    pieces = []

    async def send(message):
        pieces.append(message)

    response = completion_response(CompletionStream(events(*events_), lambda: "m"), stream=stream, wants_usage=False)
    asyncio.run(response({"type": "http", "parley.started_s": 0.0}, None, send))
    return pieces[0]["status"], [piece["body"].decode() for piece in pieces[1:] if piece["body"]]


def deltas(pieces):
    chunks = [json.loads(piece.removeprefix("data: ")) for piece in pieces if piece.startswith("data: {")]
    return [chunk["choices"][0]["delta"] for chunk in chunks]


def test_a_ping_is_a_comment_that_no_client_sees():
    _, pieces = sent(*EVENTS)

    assert pieces[2] == ": ping\n\n"
    assert deltas(pieces) == [{"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo"}, {}]


def test_a_vendor_that_is_silent_from_the_start_is_bridged_before_the_first_chunk():
    _, pieces = sent(Ping(), *EVENTS)

    assert pieces[0] == ": ping\n\n"
    assert deltas(pieces)[0]["role"] == "assistant"


def test_a_failure_after_a_ping_is_an_error_in_the_stream():
    status, pieces = sent(Ping(), ProviderFailed("acme", "reset"))

    assert (status, json.loads(pieces[-1].removeprefix("data: "))["error"]["code"]) == (200, "provider_failed")


def test_an_unstreamed_answer_has_no_pings():
    _, (body,) = sent(Ping(), *EVENTS, stream=False)

    assert json.loads(body)["choices"][0]["message"]["content"] == "Hello"


def test_a_failure_before_the_first_chunk_has_its_own_status():
    with pytest.raises(ProviderFailed):
        sent(ProviderFailed("acme", "reset"))
    with pytest.raises(ProviderFailed):
        sent(Ping(), ProviderFailed("acme", "reset"), stream=False)
