from parley.llm.offline import OfflineProvider
from parley.llm.types import Finished, Message, Request, TextDelta


def answer(*texts, **options):
    messages = [Message("assistant" if index % 2 else "user", text) for index, text in enumerate(texts)]
    return list(OfflineProvider().stream("offline", Request(messages, **options)))


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_the_same_question_has_the_same_answer():
    assert answer("hello") == answer("hello")


def test_it_says_that_it_is_no_model():
    assert "offline model" in text_of(answer("hello"))


def test_it_shows_that_it_was_given_the_question_and_the_one_before():
    said = text_of(answer("my name is Ada", "noted", "what is my name?"))

    assert "what is my name?" in said
    assert "my name is Ada" in said


def test_its_answer_comes_word_by_word_and_ends_once():
    events = answer("hello")

    assert len(events) > 20
    assert [type(event) for event in events].index(Finished) == len(events) - 1


def test_it_keeps_to_the_output_limit_and_says_so():
    events = answer("hello", max_output_tokens=3)

    assert len(events) == 4
    assert events[-1].reason == "length"
    assert events[-1].usage.output_tokens == 3
