"""Texts with typed variables."""

import pytest

from parley import prompt_template
from parley.errors import InvalidInput
from parley.prompt_template import TemplateVariable, fill, find_variables

TRIP = "Plan {{nights:number}} nights in {{city}}, in a {{tone:choice(formal, friendly)}} tone. {{ city }} must be cheap."
VALUES = {"nights": "2", "city": "Porto", "tone": "formal"}


def test_variables_are_found_once_in_the_order_of_their_first_use():
    assert find_variables(TRIP) == [
        TemplateVariable("nights", "number"),
        TemplateVariable("city", "text"),
        TemplateVariable("tone", "choice", ("formal", "friendly")),
    ]


def test_a_later_use_may_repeat_or_omit_the_type():
    assert find_variables("{{n:number}} {{n}} {{n:number}}") == [TemplateVariable("n", "number")]


@pytest.mark.parametrize("text", ["no variable", "{city}", '{"a": {"b": 1}}', "x }} y", "{", ""])
def test_other_braces_are_text(text):
    assert (find_variables(text), fill(text, {})) == ([], text)


def test_braces_around_a_variable_are_text():
    assert fill('{"city": {"name": "{{city}}"}} {{{city}}}', {"city": "Porto"}) == '{"city": {"name": "Porto"}} {Porto}'


@pytest.mark.parametrize(
    "text",
    ["{{", "{{City}}", "{{a b}}", "{{a:date}}", "{{a:choice()}}", "{{a:choice( , )}}", "{{a}} {{a:number}}", "{{a{{b}}", "{{ }}", "{{a}"],
)
def test_double_braces_that_enclose_no_variable_are_refused(text):
    with pytest.raises(InvalidInput) as raised:
        find_variables(text)

    assert raised.value.errors[0]["loc"] == ["body", "text"]


def test_the_number_of_variables_is_bounded():
    with pytest.raises(InvalidInput):
        find_variables("".join(f"{{{{v{number}}}}}" for number in range(21)))


def test_the_length_of_a_value_is_bounded(monkeypatch):
    monkeypatch.setattr(prompt_template, "MAX_VALUE_CHARACTERS", 3)
    assert fill("{{city}}", {"city": "Rom"}) == "Rom"
    with pytest.raises(InvalidInput, match="3 characters"):
        fill("{{city}}", {"city": "Rome"})


def test_values_take_the_place_of_variables_and_are_not_searched_for_variables():
    assert fill(TRIP, VALUES | {"city": "{{tone}}"}) == "Plan 2 nights in {{tone}}, in a formal tone. {{tone}} must be cheap."


@pytest.mark.parametrize("number", ["0", "-3", "2.5", "1000000"])
def test_numbers_have_digits_a_sign_and_a_point(number):
    assert fill("{{n:number}}", {"n": number}) == number


@pytest.mark.parametrize(
    ("name", "value"),
    [("nights", "two"), ("nights", "1e9"), ("nights", "2\n"), ("nights", "٣"), ("city", " "), ("tone", "rude"), ("more", "x")],
)
def test_a_value_that_does_not_suit_its_variable_is_refused(name, value):
    with pytest.raises(InvalidInput):
        fill(TRIP, VALUES | {name: value})


def test_a_missing_value_is_named():
    with pytest.raises(InvalidInput) as raised:
        fill(TRIP, {"nights": "2", "tone": "formal"})

    assert raised.value.errors == [{"loc": ["body", "values", "city"], "msg": "a value is required"}]


def test_a_filled_text_is_bounded_however_often_a_variable_is_used(monkeypatch):
    monkeypatch.setattr(prompt_template, "MAX_FILLED_CHARACTERS", 100)
    assert len(fill("{{a}}" * 4, {"a": "x" * 20})) == 80

    with pytest.raises(InvalidInput):
        fill("{{a}}" * 5, {"a": "x" * 20})
