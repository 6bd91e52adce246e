"""Guarded models by the vendors' real SDKs, connected to a fake vendor."""

import json

import pytest

from parley.llm.catalogue import Catalogue, CatalogueInvalid
from parley.llm.errors import GuardBlocked
from parley.llm.messages import (
    Message,
    ModelRequest,
    OutputSchema,
    ReasoningDelta,
    Source,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolDefinition,
    ToolResult,
)
from parley.llm.model import GuardHit
from parley.llm.provider_registry import ProviderRegistry
from tests.fakes.vendor import replies, sends, streams
from tests.fakes.wire_formats.chat import chunk
from tests.shared.llm.guards.conftest import as_message

MODELS = """
[roles]
chat = "vendor"
embedding = "vectors"
rerank = "judge"

[guard.words]
words = ["nightingale"]

[guard.personal_data]

[models.vendor]
provider = "openai-compatible"
name = "m"
base_url = "{url}"

[models.vectors]
provider = "openai-compatible"
name = "v"
kind = "embedding"
dimensions = 2
base_url = "{url}"

[models.judge]
provider = "openai-compatible"
name = "j"
kind = "rerank"
base_url = "{url}"

[models.own]
provider = "offline"
name = "offline"
[models.own.guard]
"""
MAIL = "ada@example.org"


@pytest.fixture
def called(vendor):
    """Call a model of the catalogue; return its events. The keywords are fields of the request."""
    providers = vendor.closing(ProviderRegistry({}))

    def called(*messages, change=("", ""), **fields):
        model = Catalogue.parse(MODELS.format(url=vendor.url).replace(*change), source="test").models["vendor"]
        called.events = providers(model).stream(model.name, ModelRequest([as_message(message) for message in messages], **fields))
        return list(called.events)

    return called


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def sent(vendor):
    return json.dumps(vendor.last_body, ensure_ascii=False)


def test_a_blocked_word_in_the_newest_message_is_refused_before_the_vendor_is_called(called, vendor):
    with pytest.raises(GuardBlocked) as raised:
        called("Tell me about Nightingale")

    assert (raised.value.place, vendor.requests, called.events.is_begun) == ("request", [], False)
    assert called.events.guard_hits == (GuardHit("words", "word", "block", "request", 1),)


def test_a_blocked_word_anywhere_else_does_not_reach_the_vendor_and_refuses_nothing(called, vendor):
    tool = ToolDefinition("t", "a Nightingale tool", {"type": "object", "properties": {"a": {"description": "nightingale"}}})
    history = [
        Message("user", [Text("nightingale?")], name="nightingale"),
        Message("assistant", [ToolCall("c", "t", '{"a": "n\\u0069ghtingale"}')]),
        Message("tool", [ToolResult("c", "nightingale")]),
        Message("assistant", "the nightingale"),
    ]
    schema = OutputSchema("o", {"type": "object", "description": "nightingale"})
    called(
        *(*history, "well?"),
        system="no nightingale",
        tools=[tool],
        output=schema,
        facts=["likes nightingale"],
        passages=["nightingale"],
        sources=[Source(1, "Nightingale", "nightingale")],
    )

    assert "ightingale" not in sent(vendor)
    assert sent(vendor).count("[removed]") == 12


def test_background_work_is_not_refused(called, vendor):
    called("nightingale", task="title")

    assert "nightingale" not in sent(vendor)


def test_a_blocked_word_in_an_answer_ends_it_before_the_word(called, vendor):
    vendor.script = streams("It is the night", "ingale", " that sings")
    with pytest.raises(GuardBlocked) as raised:
        called("?")

    assert (raised.value.place, called.events.is_begun) == ("answer", True)
    assert called.events.guard_hits == (GuardHit("words", "word", "block", "answer", 1),)


@pytest.mark.parametrize(("action", "text"), [("mask", "a [removed] sings"), ("report", "a nightingale sings")])
def test_a_word_can_be_masked_or_only_reported(called, vendor, action, text):
    vendor.script = streams("a night", "ingale", " sings")
    events = called("nightingale", change=('["nightingale"]', f'["nightingale"]\naction = "{action}"'))

    assert text_of(events) == text
    assert ("nightingale" in sent(vendor)) == (action == "report")
    assert {(hit.action, hit.place, hit.count) for hit in called.events.guard_hits} == {(action, "request", 1), (action, "answer", 1)}


def test_personal_data_reaches_the_vendor_as_numbered_placeholders(called, vendor):
    called(Message("user", f"I am {MAIL}"), Message("assistant", "Hello"), f"{MAIL}, not b@example.org, and +49 30 1234567")

    assert [message["content"] for message in vendor.last_body["messages"]] == [
        "I am [EMAIL_1]",
        "Hello",
        "[EMAIL_1], not [EMAIL_2], and [PHONE_1]",
    ]
    assert GuardHit("personal_data", "email", "mask", "request", 3) in called.events.guard_hits


def test_placeholders_in_the_answer_become_the_originals_also_when_cut(called, vendor):
    vendor.script = streams("Dear [EM", "AIL", "_1", "], [EMAIL_7] [x] [", "note]")

    assert text_of(called(f"Write to {MAIL}")) == f"Dear {MAIL}, [EMAIL_7] [x] [note]"


def test_placeholders_stay_in_the_answer_if_the_operator_wants_it(called, vendor):
    vendor.script = streams("Dear [EMAIL_1]")

    assert (
        text_of(called(f"Write to {MAIL}", change=("[guard.personal_data]", "[guard.personal_data]\nrestores = false"))) == "Dear [EMAIL_1]"
    )


def test_personal_data_of_the_model_is_masked_if_the_operator_wants_it(called, vendor):
    vendor.script = streams("Ask bob@exam", "ple.org or [EMAIL_1]")
    events = called(f"I am {MAIL}", change=("[guard.personal_data]", "[guard.personal_data]\nin_answers = true"))

    assert text_of(events) == f"Ask [removed] or {MAIL}"


def tool_call(*pieces):
    first = {"index": 0, "id": "c1", "function": {"name": "t", "arguments": ""}}
    others = [{"index": 0, "function": {"arguments": piece}} for piece in pieces]
    return sends([*(chunk({"tool_calls": [call]}) for call in [first, *others]), chunk({}, finish="tool_calls"), b"data: [DONE]\n\n"])


def test_a_tool_call_has_the_originals_as_a_whole_and_in_pieces(called, vendor):
    vendor.script = tool_call('{"to": "[EM', 'AIL_1]"}')
    events = called(f"Write to {MAIL}", tools=[ToolDefinition("t", "", {"type": "object"})], shows_call_deltas=True)

    assert [event.arguments for event in events if isinstance(event, ToolCall)] == [f'{{"to": "{MAIL}"}}']
    assert "".join(event.arguments for event in events if isinstance(event, ToolCallDelta)) == f'{{"to": "{MAIL}"}}'


@pytest.mark.parametrize("pieces", [('{"q": "night', 'ingale"}'), ('{"q": "n\\u0069ght', 'ingale"}')])
def test_a_blocked_word_in_a_tool_call_ends_the_answer(called, vendor, pieces):
    vendor.script = tool_call(*pieces)

    with pytest.raises(GuardBlocked):
        called("?", tools=[ToolDefinition("t", "", {"type": "object"})], shows_call_deltas=True)
    assert called.events.guard_hits == (GuardHit("words", "word", "block", "answer", 1),)


def test_a_masked_word_in_a_tool_call_counts_once_although_it_arrives_twice(called, vendor):
    vendor.script = tool_call('{"q": "night', 'ingale"}')
    change = ('["nightingale"]', '["nightingale"]\naction = "mask"')
    called("?", change=change, tools=[ToolDefinition("t", "", {"type": "object"})], shows_call_deltas=True)

    assert called.events.guard_hits == (GuardHit("words", "word", "mask", "answer", 1),)


def test_a_speakers_name_reaches_the_vendor_unless_a_guard_finds_something_in_it(called, vendor):
    called(Message("user", "?", name="nightingale"), Message("user", "?", name="ada"))

    assert [message.get("name") for message in vendor.last_body["messages"]] == [None, "ada"]


def test_reasoning_is_guarded_and_stays_before_the_text(called, vendor):
    reasoning = [chunk({"reasoning_content": text}) for text in ("Is [EMA", "IL_1] a night")]
    vendor.script = sends([*reasoning, chunk({"content": "ingale"}), chunk({}, finish="stop"), b"data: [DONE]\n\n"])
    events = called(f"{MAIL}?", shows_reasoning=True)
    kinds = [type(event) for event in events]

    assert kinds.index(TextDelta) > max(position for position, kind in enumerate(kinds) if kind is ReasoningDelta)
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == f"Is {MAIL} a night"
    assert text_of(events) == "ingale"


def test_an_embedder_and_a_reranker_receive_no_personal_data_and_no_blocked_word(vendor):
    providers, models = vendor.closing(ProviderRegistry({})), Catalogue.parse(MODELS.format(url=vendor.url), source="test").models
    vendor.script = replies({"data": [{"index": 0, "embedding": [1, 0]}], "usage": {"prompt_tokens": 1, "total_tokens": 1}})
    embedded = providers.embedder(models["vectors"]).embed_batch("v", [f"nightingale {MAIL}"], purpose="query")
    vendor.script = replies({"results": [{"index": 0, "relevance_score": 1.0}]})
    ranked = providers.reranker(models["judge"]).rerank("j", MAIL, ["nightingale"])

    assert vendor.requests[0][1]["input"] == ["[removed] [EMAIL_1]"]
    assert (vendor.last_body["query"], vendor.last_body["documents"]) == ("[EMAIL_1]", ["[removed]"])
    assert {hit.kind for hit in embedded.guard_hits} == {hit.kind for hit in ranked.guard_hits} == {"word", "email"}


def test_a_model_may_have_guards_of_its_own(vendor):
    models = Catalogue.parse(MODELS.format(url=vendor.url), source="test").models
    events = ProviderRegistry({})(models["own"]).stream("offline", ModelRequest([Message("user", "I like the nightingale")]))

    assert "nightingale" in text_of(events)


def test_a_wrong_guard_is_named_with_its_line():
    wrong = MODELS.format(url="http://vendor").replace('["nightingale"]', '["nightingale"]\naction = "shout"')
    with pytest.raises(CatalogueInvalid, match=r"line 9: guard\.words\.action"):
        Catalogue.parse(wrong, source="test")


@pytest.mark.parametrize(("place", "words"), [("request", "this message"), ("answer", "the rest of this answer")])
def test_a_refusal_tells_whether_it_is_about_the_message_or_the_answer(place, words):
    assert words in GuardBlocked("words", place=place).public_message
