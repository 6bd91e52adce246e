import json

import pytest

from parley.llm.messages import Finished, Message, ModelRequest, OutputSchema, Source, TextDelta, ToolCall, ToolDefinition, ToolResult
from parley.llm.vendors.offline import OfflineProvider


def answer(*texts, **options):
    messages = [Message("assistant" if index % 2 else "user", text) for index, text in enumerate(texts)]
    return list(OfflineProvider().stream("offline", ModelRequest(messages, **options)))


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_the_same_question_has_the_same_answer():
    assert answer("hello") == answer("hello")


def test_it_says_that_it_is_not_a_real_model():
    assert "offline model" in text_of(answer("hello"))


def test_it_repeats_the_question_and_the_one_before():
    answer_text = text_of(answer("my name is Ada", "noted", "what is my name?"))

    assert "what is my name?" in answer_text
    assert "my name is Ada" in answer_text


def test_its_answer_arrives_word_by_word_and_ends_once():
    events = answer("hello")

    assert len(events) > 20
    assert [type(event) for event in events].index(Finished) == len(events) - 1


def test_it_respects_the_output_limit_and_reports_it():
    events = answer("hello", max_output_tokens=3)

    assert len(events) == 4
    assert events[-1].reason == "length"
    assert events[-1].usage.output_tokens == 3


CALCULATOR = ToolDefinition(
    "calculator", "Reckons.", {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]}
)
WEATHER = ToolDefinition("weather", "Looks out.", {"type": "object", "properties": {"place": {"type": "string"}}})


def events_for(text, **options):
    return list(OfflineProvider().stream("offline", ModelRequest([Message("user", text)], **options)))


@pytest.mark.parametrize(
    ("question", "expression"),
    [
        ("What is 12.5% of 840?", "12.5 / 100 * 840"),
        ("2+2", "2+2"),
        ("what is (3 + 4) * 5 now", "(3 + 4) * 5"),
        ("compute -2 ** 8!", "-2 ** 8"),
    ],
)
def test_arithmetic_calls_the_calculator(question, expression):
    call, end = events_for(question, tools=[WEATHER, CALCULATOR])

    assert (call.name, json.loads(call.arguments)) == ("calculator", {"expression": expression})
    assert end.reason == "tool_calls"


def test_a_question_about_the_weather_calls_the_weather_tool():
    call, _ = events_for("How is the weather in New York today?", tools=[WEATHER, CALCULATOR])

    assert (call.name, json.loads(call.arguments)) == ("weather", {"place": "New York"})


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("2+2", {}),
        ("2+2", {"tools": [WEATHER]}),
        ("2+2", {"tools": [CALCULATOR], "tool_choice": "none"}),
        ("hello", {"tools": [CALCULATOR, WEATHER]}),
        ("call me on 2026-01-02", {"tools": [CALCULATOR]}),
    ],
)
def test_only_offered_and_needed_tools_are_called(question, options):
    assert not [event for event in events_for(question, **options) if isinstance(event, ToolCall)]


def test_a_question_about_both_calls_both_tools_in_one_round_and_uses_both_results():
    question = "What is 12.5% of 840, and the weather in Lisbon?"
    *calls, end = events_for(question, tools=[WEATHER, CALCULATOR])
    results = [ToolResult(call.id, result) for call, result in zip(calls, ["105", "sunny"], strict=True)]
    round = [Message("user", question), Message("assistant", calls), Message("tool", results)]

    assert [(call.name, json.loads(call.arguments)) for call in calls] == [
        ("calculator", {"expression": "12.5 / 100 * 840"}),
        ("weather", {"place": "Lisbon"}),
    ]
    assert (len({call.id for call in calls}), end.reason) == (2, "tool_calls")
    answer = text_of(list(OfflineProvider().stream("offline", ModelRequest(round, tools=[WEATHER, CALCULATOR]))))
    assert answer == "The tool says: 105\n\nThe tool says: sunny"


def test_a_tools_result_is_the_answer():
    round = [Message("user", "2+2"), Message("assistant", [ToolCall("c", "calculator", "{}")]), Message("tool", [ToolResult("c", "4")])]
    events = list(OfflineProvider().stream("offline", ModelRequest(round, tools=[CALCULATOR])))

    assert text_of(events) == "The tool says: 4"


def test_the_best_sources_are_quoted_with_their_numbers():
    sources = [Source(1, "Cats", "They sleep."), Source(2, "Manual", "To reset the password, open the settings.")]
    answer_text = text_of(events_for("How do I reset a password?", sources=sources))

    assert "open the settings.” [2]" in answer_text
    assert "[1]" not in answer_text


def test_each_quoted_source_is_a_paragraph():
    sources = [Source(1, "Cats", "A password is no pet."), Source(2, "Manual", "Reset the password.")]
    answer_text = text_of(events_for("How do I reset a password?", sources=sources))

    assert set(answer_text.split("\n\n")[1:]) == {"“A password is no pet.” [1]", "“Reset the password.” [2]"}


def test_the_relevant_part_of_a_long_source_is_quoted():
    text = "filler " * 100 + "The code 4711 opens it: the safe. " + "filler " * 100
    answer_text = text_of(events_for("Which code opens the safe?", sources=[Source(1, "Manual", text), Source(2, "Safe", "filler")]))

    assert "The code 4711 opens it: the safe." in answer_text
    assert len(answer_text) < 300
    assert "[2]" not in answer_text


LEAVE = Source(1, "handbook", "Annual leave: every employee has 28 per year.")
NUTS = "The user is allergic to nuts. (2026-11-28, Saturday, 28 November 2026)"


def test_the_first_source_is_quoted_even_if_it_has_none_of_the_questions_words():
    sources = [LEAVE, Source(2, "handbook", "Trains go second class."), Source(3, "handbook", "Many days are rainy.")]
    answer_text = text_of(events_for("how many vacation days do I get?", sources=sources))

    assert answer_text.split("\n\n")[1:] == [f"“{LEAVE.text}” [1]", "“Many days are rainy.” [3]"]


def test_most_of_a_source_is_quoted_if_words_do_not_show_which_part_answers():
    source = Source(1, "handbook", f"{'Lunch is at noon. ' * 30}{LEAVE.text}")

    assert LEAVE.text in text_of(events_for("how many vacation days do I get?", sources=[source]))


def test_sources_are_preferred_to_facts_that_do_not_match_the_question():
    answer_text = text_of(events_for("how many vacation days do I get?", sources=[LEAVE], facts=[NUTS]))

    assert answer_text == f"The documents say:\n\n“{LEAVE.text}” [1]"


def test_facts_that_match_the_question_follow_the_sources():
    facts = [NUTS, "The user lives in Oslo."]
    answer_text = text_of(events_for("Where do I live?", sources=[LEAVE], facts=facts))

    assert answer_text.endswith("[1]\n\nI have these facts about you:\n\n- The user lives in Oslo.")


def test_a_fact_is_listed_with_its_date_in_words_only():
    answer_text = text_of(events_for("what should I avoid eating?", facts=[NUTS]))

    assert answer_text == "I have these facts about you:\n\n- The user is allergic to nuts. (Saturday, 28 November 2026)"


def test_facts_are_repeated_for_questions_about_the_user():
    assert "likes tea" in text_of(events_for("What do you know about me?", facts=["likes tea"]))
    assert "likes tea" not in text_of(events_for("hello", facts=["likes tea"]))


WALNUTS = "Saturday, 28 November 2026\nUser: Hello! I keep the walnuts in the blue jar. Do you like walnuts?\nAssistant: Walnuts? No."


def test_what_the_user_said_earlier_is_quoted():
    assert text_of(events_for("Where are the walnuts?", passages=[WALNUTS])) == (
        "In an earlier conversation you said:\n\n“I keep the walnuts in the blue jar.”"
    )


def test_facts_follow_what_the_user_said_unless_they_match_the_question():
    facts = ["The user's name is Ada."]
    answers = [text_of(events_for(question, passages=[WALNUTS], facts=facts)) for question in ("My walnuts?", "What is my name?")]

    assert ["blue jar" in one for one in answers] == [True, False]
    assert all("name is Ada" in one for one in answers)


@pytest.mark.parametrize("question", ["Do I like tea?", "Which jar of honey is the oldest?", "hello", ""])
def test_what_the_user_said_about_something_else_is_not_quoted(question):
    assert "earlier conversation" not in text_of(events_for(question, passages=[WALNUTS]))


def test_an_answer_with_a_schema_matches_it():
    schema = {"type": "object", "properties": {"title": {"type": "string"}, "n": {"type": "integer"}}, "required": ["title", "n"]}

    assert json.loads(text_of(events_for("hi", output=OutputSchema("o", schema)))) == {"title": "", "n": 0}
