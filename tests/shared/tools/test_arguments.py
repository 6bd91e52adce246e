import time

import pytest

from parley.tools.arguments import MAX_ERRORS, argument_errors

PLACES = {
    "type": "object",
    "properties": {
        "places": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}}
    },
    "required": ["places"],
    "additionalProperties": False,
}


def errors_of(schema, arguments):
    return [(fault.path, fault.msg) for fault in argument_errors(schema, arguments)]


def test_valid_arguments_have_no_errors():
    assert argument_errors(PLACES, {"places": [{"name": "Lisbon"}]}) == []


def test_an_error_has_a_path():
    assert errors_of(PLACES, {"places": [{"name": "Lisbon"}, {"name": 7}]}) == [(("places", 1, "name"), "7 is not of type 'string'")]


@pytest.mark.parametrize("arguments", [{}, {"places": [], "user_id": "x"}])
def test_missing_and_additional_arguments_are_errors(arguments):
    assert [path for path, _ in errors_of(PLACES, arguments)] == [()]


def test_at_most_ten_errors_are_returned():
    assert len(argument_errors(PLACES, {"places": [{}] * 50})) == MAX_ERRORS


def test_a_catastrophic_regular_expression_is_not_run():
    schema = {"type": "object", "properties": {"text": {"type": "string", "pattern": "^(a+)+$"}}}

    assert argument_errors(schema, {"text": "a" * 60 + "!"}) == []


def test_a_reference_outside_the_schema_is_not_followed():
    assert [fault.path for fault in argument_errors({"type": "object", "$ref": "http://127.0.0.1:9/schema"}, {"text": "x"})] == [()]


def test_a_schema_with_an_endless_reference_rejects_all_arguments():
    assert [fault.path for fault in argument_errors({"type": "object", "$ref": "#"}, {"text": "x"})] == [()]


def test_a_reference_inside_the_schema_is_followed():
    schema = {"type": "object", "properties": {"at": {"$ref": "#/$defs/Place"}}, "$defs": {"Place": {"type": "string"}}}

    assert [fault.path for fault in argument_errors(schema, {"at": 1})] == [("at",)]


@pytest.mark.parametrize(
    "schema",
    [
        {"additionalProperties": False, "patternProperties": {"^(a+)+$": {"type": "integer"}}},
        {"properties": {"items": {"uniqueItems": True}}},
        {"properties": {"items": {"items": {"unevaluatedProperties": False, "allOf": [{"properties": {"a": True}}] * 100}}}},
    ],
    ids=["a pattern of names", "unique items", "unevaluated properties"],
)
def test_keywords_that_take_too_long_are_ignored(schema):
    arguments = {"a" * 60 + "!": 1, "items": [{"a": [number]} for number in range(5_000)]}
    started_s = time.process_time()

    assert argument_errors({"type": "object"} | schema, arguments) == []
    assert time.process_time() - started_s < 5
