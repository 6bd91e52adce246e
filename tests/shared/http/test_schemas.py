"""Request bodies have bounds, and responses show each long text once."""

import pytest
from pydantic import ValidationError

from parley.http.schemas import ForgivingInput, Input, _with_text_once, has_too_many_keys


class Anything(Input):
    value: object


class ForgivingAnything(ForgivingInput):
    value: object


def nested(levels):
    """Return a list within lists."""
    value = []
    for _ in range(levels - 1):
        value = [value]
    return value


def problem(model, value):
    with pytest.raises(ValidationError) as refused:
        model.model_validate({"value": value})
    return refused.value.errors()[0]["type"]


@pytest.mark.parametrize("model", [Anything, ForgivingAnything])
def test_a_body_has_32_levels_at_most(model):
    assert model.model_validate({"value": nested(32)})
    assert problem(model, nested(33)) == "too_deep"


@pytest.mark.parametrize("model", [Anything, ForgivingAnything])
def test_a_body_has_50000_values_at_most(model):
    assert model.model_validate({"value": [1] * 49_998})  # and a name with its value
    assert problem(model, [1] * 49_999) == "too_many_values"


def test_names_count_as_values():
    assert Anything.model_validate({"value": dict.fromkeys(map(str, range(24_999)), 1)})
    assert problem(Anything, dict.fromkeys(map(str, range(25_000)), 1)) == "too_many_values"


@pytest.mark.parametrize("text", ["a\0", "\ud800"])
def test_text_that_cannot_be_stored_is_refused_wherever_it_is_or_replaced(text):
    for value in (text, [text], {text: 1}, {"a": [text]}):
        assert problem(Anything, value) == "not_storable"
    replaced = ForgivingAnything.model_validate({"value": {text: [text]}}).value

    assert str(replaced) == str({text[:-1] + "\ufffd": [text[:-1] + "\ufffd"]})


def test_keys_are_counted_before_a_body_is_parsed():
    assert not has_too_many_keys(b'"":' * 50_000)
    assert has_too_many_keys(b'"":' * 50_001)
    assert not has_too_many_keys(b'"":' * 50_000 + b'\\":' * 50_000)


def test_a_short_text_is_repeated_in_its_part_and_a_long_one_is_named_by_its_place():
    short, image = {"type": "text", "text": "a" * 32_767}, {"type": "image", "id": "i"}
    last = {"type": "text", "text": "b"}

    assert _with_text_once([short, image, last]) == [short, image, last]
    assert _with_text_once([short, image, last, last]) == [
        {"type": "text", "start": 0, "end": 32_767},
        image,
        {"type": "text", "start": 32_767, "end": 32_768},
        {"type": "text", "start": 32_768, "end": 32_769},
    ]
    assert _with_text_once([]) == []
