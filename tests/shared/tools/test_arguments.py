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


def told(schema, arguments):
    return [(fault.path, fault.msg) for fault in argument_errors(schema, arguments)]


def test_arguments_that_fit_have_no_faults():
    assert argument_errors(PLACES, {"places": [{"name": "Lisbon"}]}) == []


def test_a_fault_says_where_it_is():
    assert told(PLACES, {"places": [{"name": "Lisbon"}, {"name": 7}]}) == [(("places", 1, "name"), "7 is not of type 'string'")]


@pytest.mark.parametrize("arguments", [{}, {"places": [], "user_id": "x"}])
def test_what_is_missing_and_what_is_too_much_are_faults(arguments):
    assert [path for path, _ in told(PLACES, arguments)] == [()]


def test_no_more_than_ten_faults_are_told():
    assert len(argument_errors(PLACES, {"places": [{}] * 50})) == MAX_ERRORS


def test_an_expression_that_takes_for_ever_is_not_tried():
    schema = {"type": "object", "properties": {"text": {"type": "string", "pattern": "^(a+)+$"}}}

    assert argument_errors(schema, {"text": "a" * 60 + "!"}) == []


def test_a_reference_to_elsewhere_is_not_followed():
    assert [fault.path for fault in argument_errors({"type": "object", "$ref": "http://127.0.0.1:9/schema"}, {"text": "x"})] == [()]


def test_a_schema_that_refers_to_itself_for_ever_fits_nothing():
    assert [fault.path for fault in argument_errors({"type": "object", "$ref": "#"}, {"text": "x"})] == [()]


def test_a_reference_inside_the_schema_is_followed():
    schema = {"type": "object", "properties": {"at": {"$ref": "#/$defs/Place"}}, "$defs": {"Place": {"type": "string"}}}

    assert [fault.path for fault in argument_errors(schema, {"at": 1})] == [("at",)]
