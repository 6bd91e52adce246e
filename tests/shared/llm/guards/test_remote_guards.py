"""Guards that ask a service: Bedrock by botocore's own client and Presidio by HTTP, both connected to a fake service."""

import json

import pytest

from parley.aws import client
from parley.errors import Unavailable
from parley.llm.catalogue import Catalogue, CatalogueInvalid
from parley.llm.errors import GuardBlocked
from parley.llm.guards import remote_finder
from parley.llm.guards.remote_finder import bedrock_finder
from parley.llm.messages import Message, TextDelta, ToolCall, ToolCallDelta, ToolDefinition
from parley.llm.model import BedrockGuard, GuardHit
from tests.fakes.vendor import refuses, resets, streams
from tests.fakes.wire_formats.guard_services import asked, bedrock_guardrail, beside, presidio_analyzer
from tests.shared.aws.forgetful_server import serving_forgetfully
from tests.shared.llm.guards.conftest import BEDROCK, MODELS, PRESIDIO
from tests.shared.llm.guards.test_guarded_calls import text_of, tool_call


@pytest.fixture
def called(called_behind):
    """Call a model behind the guardrail, and behind the guards of further settings; return its events."""

    def called(*messages, settings="", **fields):
        try:
            return called_behind(BEDROCK + settings, *messages, **fields)
        finally:
            called.events = called_behind.events

    return called


def test_a_message_that_the_guardrail_blocks_is_refused(called, vendor):
    vendor.script = beside(streams("?"), guardrail=bedrock_guardrail(topics=("tax",)))
    with pytest.raises(GuardBlocked):
        called("How do I evade tax?")

    assert asked(vendor) == ["How do I evade tax?"]
    assert len(vendor.requests) == 1
    assert called.events.guard_hits == (GuardHit("bedrock", "topic", "block", "request", 1),)


def test_the_guardrail_is_asked_with_its_version_and_the_functions_role(called, vendor):
    vendor.script = beside(streams("Hello"), guardrail=bedrock_guardrail())
    called("Hi")
    headers, body = vendor.requests[0]

    assert headers["x-path"] == "/guardrail/gr1/version/3/apply"
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256")
    assert "/us-east-2/bedrock/" in headers["authorization"]
    assert body == {"source": "INPUT", "content": [{"text": {"text": "Hi"}}]}
    assert vendor.requests[-1][1]["source"] == "OUTPUT"


def test_a_blocked_text_that_is_not_the_newest_message_is_removed(called, vendor):
    vendor.script = beside(streams("Hello"), guardrail=bedrock_guardrail(topics=("tax",)))
    called("About tax", Message("assistant", "No."), "Hi", system="no tax")

    assert [message["content"] for message in vendor.requests[-2][1]["messages"]] == ["[removed]", "[removed]", "No.", "Hi"]


@pytest.mark.parametrize(("settings", "kind"), [("", "NAME"), (PRESIDIO, "PERSON")])
def test_names_reach_the_model_as_placeholders_and_the_reader_as_they_were(called, vendor, settings, kind):
    services = {"guardrail": bedrock_guardrail(names=("Ada",)), "analyzer": presidio_analyzer("Ada")}
    vendor.script = beside(streams("Dear [", kind, "_1]"), **services)
    events = called("I am Ada, Ada L.", settings=settings)
    (body,) = [body for headers, body in vendor.requests if headers["x-path"].startswith("/v1")]

    assert body["messages"][0]["content"] == f"I am [{kind}_1], [{kind}_1] L."
    assert text_of(events) == "Dear Ada"


def test_a_match_that_is_only_reported_changes_nothing(called, vendor):
    vendor.script = beside(streams("Hello"), guardrail=bedrock_guardrail(reports=("Ada",)))
    called("I am Ada")

    assert GuardHit("bedrock", "name", "report", "request", 1) in called.events.guard_hits
    assert vendor.requests[-2][1]["messages"][0]["content"] == "I am Ada"


def test_a_text_that_is_blocked_in_two_parts_is_removed_whole(called, vendor, monkeypatch):
    monkeypatch.setattr(remote_finder, "MAX_CHARACTERS", 400)
    vendor.script = beside(streams("Hello"), guardrail=bedrock_guardrail(topics=("tax",)))
    called("tax " * 150, "Hi")

    assert vendor.requests[-2][1]["messages"][0]["content"] == "[removed][removed]\n\nHi"


def test_of_names_that_overlap_nothing_is_left(called, vendor):
    vendor.script = beside(streams("Dear [NAME_1][NAME_2]"), guardrail=bedrock_guardrail(names=("John Paul", "Paul Smith")))
    events = called("I am John Paul Smith.")

    assert vendor.requests[-2][1]["messages"][0]["content"] == "I am [NAME_1][NAME_2]."
    assert text_of(events) == "Dear John Paul Smith"


def test_names_that_overlap_at_the_end_of_a_window_are_masked(called, vendor):
    words = "word " * 172  # the window is cut between Paul and Smith
    vendor.script = beside(streams(words, "John Paul Smith", " word" * 25), guardrail=bedrock_guardrail(names=("John Paul", "Paul Smith")))

    assert text_of(called("Who?")) == f"{words}[removed][removed]{' word' * 25}"


def test_a_match_that_is_only_reported_hides_no_other(called, vendor):
    vendor.script = beside(streams("Hello"), guardrail=bedrock_guardrail(names=("Ada",), reports=("Ada Street",)))
    called("I live in Ada Street")

    assert vendor.requests[-2][1]["messages"][0]["content"] == "I live in [NAME_1] Street"


def test_what_the_guardrail_finds_in_an_answer_does_not_reach_the_reader(called, vendor):
    vendor.script = beside(streams("Ask A", "da"), guardrail=bedrock_guardrail(names=("Ada",)))

    assert text_of(called("Who?")) == "Ask [removed]"


def test_a_name_that_a_window_cuts_is_masked(called, vendor):
    words = "word " * 198  # 990 characters, so that the window ends within the name
    vendor.script = beside(streams(words, "Ada Lovelac", "e wrote it"), guardrail=bedrock_guardrail(names=("Ada Lovelace",)))

    assert text_of(called("Who?")) == f"{words}[removed] wrote it"


def test_a_long_answer_is_passed_on_before_its_end(called, vendor):
    words = ["word " * 50] * 8
    vendor.script = beside(streams(*words), guardrail=bedrock_guardrail())
    events = [event for event in called("Tell me") if isinstance(event, TextDelta)]

    assert len(events) == 3
    assert text_of(events) == "".join(words)


def test_an_answer_that_the_guardrail_blocks_ends_there(called, vendor):
    vendor.script = beside(streams("Evade ", "tax"), guardrail=bedrock_guardrail(topics=("tax",)))
    with pytest.raises(GuardBlocked) as raised:
        called("How?")

    assert raised.value.place == "answer"


def test_arguments_of_a_tool_call_are_read(called, vendor):
    vendor.script = beside(tool_call('{"to": "Ada"}'), guardrail=bedrock_guardrail(names=("Ada",)))
    events = called("?", tools=[ToolDefinition("t", "", {"type": "object"})])

    assert [json.loads(event.arguments) for event in events if isinstance(event, ToolCall)] == [{"to": "[removed]"}]


def test_of_a_tool_call_the_guardrail_reads_what_the_words_leave(called, vendor):
    vendor.script = beside(tool_call('{"to": "Tern"}'), guardrail=bedrock_guardrail())
    called("?", tools=[ToolDefinition("t", "", {"type": "object"})], settings='[guard.words]\nwords = ["tern"]\naction = "mask"\n')

    assert not [text for text in asked(vendor) if "Tern" in text]


def test_a_history_is_asked_about_once(called, vendor):
    vendor.script = beside(streams("Hello"), guardrail=bedrock_guardrail())
    called("First", Message("assistant", "Yes"), "Second" * 40)
    called("First", Message("assistant", "Yes"), "Second" * 40, "Third")

    assert sorted(asked(vendor)) == sorted(["First\nYes", "Second" * 40, "Hello", "Third"])


@pytest.mark.parametrize(("size", "turns"), [(8, ["ABC", "DEF", "ABCG", "HI", "ABCG"]), (2, ["ABCDE"])])
def test_a_history_that_is_sent_again_is_not_asked_about_again(called, vendor, monkeypatch, size, turns):
    monkeypatch.setattr(remote_finder, "CACHE_SIZE", size)
    vendor.script = beside(streams("Hello"), guardrail=bedrock_guardrail())
    for letters in turns:
        called(*(letter * 201 for letter in letters))

    assert sorted(text[0] for text in asked(vendor) if text != "Hello") == sorted({*"".join(turns)})


def test_short_texts_are_asked_about_together_and_one_by_one_if_something_is_found(called, vendor):
    vendor.script = beside(streams("Hello"), guardrail=bedrock_guardrail(names=("Ada",)))
    called("Hi", Message("assistant", "Yes"), "Ada")

    assert sorted(asked(vendor)) == ["Ada", "Hello", "Hi", "Hi\nYes\nAda", "Yes"]


def test_a_text_longer_than_a_request_is_read_in_parts(called, vendor, monkeypatch):
    monkeypatch.setattr(remote_finder, "MAX_CHARACTERS", 400)
    vendor.script = beside(streams("Hello"), guardrail=bedrock_guardrail(names=("Ada Lovelace",)))
    called("x" * 395 + "Ada Lovelace" + "y" * 300)

    assert vendor.requests[-2][1]["messages"][0]["content"] == "x" * 395 + "[NAME_1]" + "y" * 300
    assert max(map(len, asked(vendor))) == 400


@pytest.mark.parametrize("name", ["EMAIL", "[EMAIL", "_1]"])
def test_a_placeholder_of_another_guard_is_not_replaced_again(called, vendor, name):
    vendor.script = beside(streams("Dear [EMAIL_1]"), guardrail=bedrock_guardrail(names=(name,)))
    events = called("I am ada@example.org", settings="[guard.personal_data]\n")

    assert vendor.requests[-2][1]["messages"][0]["content"] == "I am [EMAIL_1]"
    assert text_of(events) == "Dear ada@example.org"


def test_the_original_of_a_name_contains_that_of_another_guards_placeholder(called, vendor):
    vendor.script = beside(streams("Dear [NAME_1]"), guardrail=bedrock_guardrail(names=("Ada [EMAIL_1]",)))
    events = called("I am Ada ada@example.org", settings="[guard.personal_data]\n")

    assert vendor.requests[-2][1]["messages"][0]["content"] == "I am [NAME_1]"
    assert text_of(events) == "Dear Ada ada@example.org"


def test_a_tool_call_has_the_letters_and_quotes_of_the_original(called, vendor):
    vendor.script = beside(tool_call('{"to": "[NA', 'ME_1]"}'), guardrail=bedrock_guardrail(names=('Zoë "Z" L',)))
    events = called('Write to Zoë "Z" L', tools=[ToolDefinition("t", "", {"type": "object"})], shows_call_deltas=True)
    pieces = "".join(event.arguments for event in events if isinstance(event, ToolCallDelta))

    assert [pieces, *(event.arguments for event in events if isinstance(event, ToolCall))] == [r'{"to": "Zoë \"Z\" L"}'] * 2


def test_a_call_that_is_closed_while_the_guardrail_reads_does_not_reach_the_model(called_behind, vendor):
    def closes(handler):
        called_behind.events.close()
        bedrock_guardrail()(handler)

    vendor.script = beside(streams("Hello"), guardrail=closes)

    assert called_behind(BEDROCK, "Hi") == []
    assert [headers["x-path"] for headers, _ in vendor.requests] == ["/guardrail/gr1/version/3/apply"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (refuses(500), "500"),
        (refuses(403, headers={"x-amzn-errortype": "AccessDeniedException"}), "AccessDeniedException"),
        (resets, "ConnectionClosedError"),
    ],
)
def test_a_service_that_is_away_fails_the_call_unless_the_operator_wants_to_go_on(called, vendor, script, reason):
    vendor.script = beside(streams("Hello"), guardrail=script)
    with pytest.raises(Unavailable, match=rf"guardrail \({reason}\)"):
        called("Hi")

    assert [headers["x-path"] for headers, _ in vendor.requests] == ["/guardrail/gr1/version/3/apply"]
    assert text_of(called("Hi", settings='on_error = "pass"\n')) == "Hello"


def test_a_text_that_passed_while_the_service_was_away_is_read_when_it_is_back(called, vendor, monkeypatch):
    monkeypatch.setattr(remote_finder, "PAUSE_S", 0)
    passes = {"settings": 'on_error = "pass"\n', "system": "Be brief."}
    vendor.script = beside(streams("Hello"), guardrail=refuses(500))
    called("I am Ada", **passes)
    vendor.script = beside(streams("Hello"), guardrail=bedrock_guardrail(names=("Ada",)))
    called("I am Ada", **passes)

    assert vendor.requests[-2][1]["messages"][-1]["content"] == "I am [NAME_1]"


@pytest.mark.parametrize(
    ("right", "wrong", "field"),
    [('version = "3"', 'version = "latest"', "version"), ('"gr1"', '"arn:aws:s3:::x"', "guardrail")],
)
def test_a_guardrail_that_cannot_exist_is_named_with_its_line(right, wrong, field):
    with pytest.raises(CatalogueInvalid, match=rf"guard\.bedrock\.{field}"):
        Catalogue.parse((MODELS + BEDROCK).format(url="http://vendor").replace(right, wrong), source="test")


def test_the_first_text_after_a_pause_is_checked_although_its_connection_has_ended(monkeypatch):
    blocks = {
        **{"action": "GUARDRAIL_INTERVENED", "outputs": [], "usage": {}},
        "assessments": [{"topicPolicy": {"topics": [{"name": "tax", "type": "DENY", "action": "BLOCKED"}]}}],
    }
    with serving_forgetfully(json.dumps(blocks).encode()) as server:
        settings = BedrockGuard(guardrail="g1", version="1", base_url=server.url, on_error="pass")
        finder = bedrock_finder(settings, source="INPUT")
        finder.find("How do I evade tax?")
        server.has_forgotten = True
        monkeypatch.setattr(client, "MAX_IDLE_S", -1.0)  # the pause

        assert [span.kind for span in finder.find("How do I evade tax again?").spans] == ["topic"]
