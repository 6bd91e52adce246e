"""The span of a model call, as an operator reads it in a trace."""

import pytest

from parley.llm.genai_spans import note_event, start_chat_span, start_embedding_span
from parley.llm.messages import Message, ModelRequest, TextDelta
from parley.llm.model import Model, ModelCall
from parley.observability.traces import NO_SPAN

CALL = ModelCall("m", Model(provider="offline", name="m"))


class RecordingSpan:
    """Records the attributes of a span."""

    def __init__(self):
        self.attributes = {}

    def set(self, attributes):
        self.attributes |= attributes


def test_the_time_to_the_first_chunk_is_that_of_the_first():
    span = RecordingSpan()
    for number, elapsed_s in enumerate([1.0, 2.0]):
        note_event(span, TextDelta("a"), number=number, elapsed_s=elapsed_s)

    assert span.attributes == {"gen_ai.response.time_to_first_chunk": 1.0}


@pytest.fixture
def traced(monkeypatch):
    """Let spans be their attributes."""
    monkeypatch.setattr("parley.llm.genai_spans.is_tracing", lambda: True)
    monkeypatch.setattr("parley.llm.genai_spans._start", lambda _model, _operation, attributes: attributes)


def test_a_span_says_that_the_answer_is_a_stream_and_has_its_limit_if_there_is_one(traced):
    found = [start_chat_span(CALL, ModelRequest([Message("user", "?")], max_output_tokens=limit)) for limit in (None, 9)]

    assert found == [{"gen_ai.request.stream": True}, {"gen_ai.request.stream": True, "gen_ai.request.max_tokens": 9}]


def test_embeddings_have_a_span_if_calls_are_traced(traced):
    assert start_embedding_span(CALL) == {}


def test_without_traces_nothing_has_a_span():
    assert [start_embedding_span(CALL), start_chat_span(CALL, ModelRequest([]))] == [NO_SPAN, NO_SPAN]
