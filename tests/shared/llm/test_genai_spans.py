"""The span of a model call, as an operator reads it in a trace."""

from parley.llm.genai_spans import note_event, start_chat_span
from parley.llm.messages import Message, ModelRequest, TextDelta
from parley.llm.model import Model, ModelCall


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


def test_a_span_has_the_limit_of_the_answer_if_there_is_one(monkeypatch):
    monkeypatch.setattr("parley.llm.genai_spans.is_tracing", lambda: True)
    monkeypatch.setattr("parley.llm.genai_spans._start", lambda _model, _operation, attributes: attributes)
    call = ModelCall("m", Model(provider="offline", name="m"))
    limits = [start_chat_span(call, ModelRequest([Message("user", "?")], max_output_tokens=limit)) for limit in (None, 9)]

    assert [found.get("gen_ai.request.max_tokens", "none") for found in limits] == ["none", 9]
