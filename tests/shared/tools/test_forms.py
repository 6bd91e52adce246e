"""Forms: which questions can be asked, and which answers fit."""

import pytest

from parley.errors import InvalidInput
from parley.tools.arguments import argument_errors
from parley.tools.ask_user import ASK_USER, KINDS
from parley.tools.forms import Form, FormField, FormOption, UnusableForm, form_of_model, form_of_server

OPTIONS = tuple(FormOption(value=value, label=value.upper()) for value in ("a", "b", "c"))


def checked(answer, **field):
    form = Form(fields=(FormField(id="x", text="Well?", **field),))
    return form.checked({"x": answer})


@pytest.mark.parametrize(
    ("field", "answer"),
    [
        ({"kind": "boolean"}, False),
        ({"kind": "number"}, 0.5),
        ({"kind": "number", "is_integer": True, "minimum": 1, "maximum": 3}, 3),
        ({"kind": "number", "minimum": 1}, 1),
        ({"kind": "text"}, "Grüße"),
        ({"kind": "text"}, "x" * 4_000),
        ({"kind": "text", "required": False}, ""),
        ({"kind": "text", "min_length": 3, "max_length": 3}, "yes"),
        ({"kind": "text", "format": "email"}, "ada@example.com"),
        ({"kind": "text", "format": "uri"}, "https://example.com"),
        ({"kind": "text", "format": "date"}, "2026-11-28"),
        ({"kind": "text", "format": "date-time"}, "2026-11-28T12:00:00Z"),
        ({"kind": "choice", "options": OPTIONS}, "a"),
        ({"kind": "multiple", "options": OPTIONS}, ["c", "a"]),
        ({"kind": "multiple", "options": OPTIONS, "min_length": 2, "max_length": 2}, ["c", "a"]),
        ({"kind": "multiple", "options": OPTIONS, "required": False}, []),
    ],
)
def test_a_fitting_answer_is_taken_unchanged(field, answer):
    assert checked(answer, **field) == {"x": answer}


@pytest.mark.parametrize(
    ("field", "answer"),
    [
        ({"kind": "boolean"}, 1),
        ({"kind": "number"}, True),
        ({"kind": "number"}, "3"),
        ({"kind": "number"}, float("nan")),
        ({"kind": "number", "is_integer": True}, 1.5),
        ({"kind": "number", "minimum": 1}, 0),
        ({"kind": "number", "maximum": 1}, 2),
        ({"kind": "text"}, " "),
        ({"kind": "text"}, "x" * 4_001),
        ({"kind": "text", "max_length": 3}, "four"),
        ({"kind": "text", "min_length": 3}, "no"),
        ({"kind": "text", "format": "email"}, "ada"),
        ({"kind": "text", "format": "uri"}, "example"),
        ({"kind": "text", "format": "date"}, "tomorrow"),
        ({"kind": "choice", "options": OPTIONS}, "d"),
        ({"kind": "choice", "options": OPTIONS}, ["a"]),
        ({"kind": "multiple", "options": OPTIONS}, []),
        ({"kind": "multiple", "options": OPTIONS}, ["a", "a"]),
        ({"kind": "multiple", "options": OPTIONS, "max_length": 1}, ["a", "b"]),
        ({"kind": "text"}, None),
    ],
)
def test_an_answer_that_does_not_fit_is_refused(field, answer):
    with pytest.raises(InvalidInput, match="answer 1"):
        checked(answer, **field)


def test_an_answer_left_out_is_left_out():
    assert checked(None, kind="text", required=False) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_the_tools_schema_and_the_form_take_the_same_kinds(kind):
    options = {"options": ["a", "b"]} if kind in ("choice", "multiple") else {}

    assert form_of_model({"questions": [{"text": "Well?", "kind": kind} | options]}).fields[0].kind == kind


def test_questions_have_no_other_argument_beside_them():
    arguments = {"questions": [{"text": "Well?", "kind": "text"}], "hint": "x"}

    assert argument_errors(ASK_USER.parameters, arguments)
    with pytest.raises(UnusableForm):
        form_of_model(arguments)


@pytest.mark.parametrize("text", ["Your password?", "API key", "Enter the one-time code", "Card number:"])
def test_a_form_that_asks_for_a_secret_is_unusable(text):
    with pytest.raises(UnusableForm) as refused:
        form_of_model({"questions": [{"text": text, "kind": "text"}]})

    assert "secrets" in refused.value.public_message


def test_the_model_is_told_the_bounds():
    assert ASK_USER.parameters["properties"]["questions"]["maxItems"] == 4


def test_a_reason_does_not_repeat_what_the_model_wrote():
    with pytest.raises(UnusableForm) as refused:
        form_of_model({"questions": [{"text": "Well?", "kind": "canary"}]})

    assert "canary" not in f"{refused.value.public_message} {refused.value.__cause__}"


def test_a_reason_is_cut_after_three_hundred_characters():
    with pytest.raises(UnusableForm) as refused:
        form_of_model({"questions": [{"text": "Well?", "kind": "text", "x" * 400: True}]})

    assert len(refused.value.public_message) == len("Not asked: ") + 300


def test_the_model_reads_the_answers_as_the_user_wrote_them():
    form = Form(fields=(FormField(id="x", text="Bitte?", kind="text"),))

    assert form.render({"x": "Grüße"}) == '{"answers": [{"question": "Bitte?", "answer": "Grüße"}]}'


PROPERTIES = {
    "name": {"type": "string", "title": "Name", "description": "As in the passport", "minLength": 2, "maxLength": 40, "default": "Ada"},
    "mail": {"type": "string", "format": "email"},
    "age": {"type": "integer", "minimum": 18, "maximum": 120},
    "score": {"type": "number"},
    "agrees": {"type": "boolean", "default": False},
    "city": {"type": "string", "enum": ["l", "t"], "enumNames": ["Lyon", "Turin"]},
    "room": {"type": "string", "oneOf": [{"const": "s", "title": "Small"}, {"const": "b", "title": "Big"}]},
    "meals": {"type": "array", "items": {"type": "string", "enum": ["noon", "night"]}, "minItems": 1, "maxItems": 2},
    "extras": {"type": "array", "items": {"anyOf": [{"const": "w", "title": "Wifi"}]}},
}


def test_the_form_of_a_server_has_a_field_for_each_property():
    form = form_of_server("Book?", {"type": "object", "properties": PROPERTIES, "required": ["name"]})
    fields = {field.id: field for field in form.fields}

    assert (fields["name"].text, fields["name"].required, fields["name"].default) == ("Name – As in the passport", True, "Ada")
    assert [field.kind for field in form.fields] == ["text", "text", "number", "number", "boolean", *["choice"] * 2, *["multiple"] * 2]
    assert [option.label for id in ("city", "room", "extras") for option in fields[id].options] == ["Lyon", "Turin", "Small", "Big", "Wifi"]
    assert (fields["age"].is_integer, fields["age"].minimum, fields["meals"].min_length) == (True, 18, 1)


@pytest.mark.parametrize(
    "properties",
    [
        {},
        None,
        {str(number): {"type": "boolean"} for number in range(11)},
        {"x": {"type": "object"}},
        {"x": {"type": "string", "enum": []}},
        {"x": {"type": "string", "enum": [str(number) for number in range(51)]}},
        {"x": {"type": "string", "enum": ["s", "m", "l"], "enumNames": ["Small", "Large"]}},
        {"x": {"type": "string", "oneOf": [{"title": "no const"}]}},
        {"x": {"type": "string", "format": "password"}},
        {"password": {"type": "string"}},
        {"x": {"type": "number", "minimum": "one"}},
        {"x": {"type": "number", "default": "one"}},
        {"x": "text"},
        {"x": {"type": "string", "description": "x" * 501}},
    ],
)
def test_a_form_of_a_server_out_of_bounds_is_unusable(properties):
    with pytest.raises(UnusableForm):
        form_of_server("Book?", {"type": "object", "properties": properties})


@pytest.mark.parametrize("required", ["name", {"name": True}])
def test_a_form_of_a_server_that_does_not_list_its_required_fields_is_unusable(required):
    with pytest.raises(UnusableForm):
        form_of_server("Book?", {"type": "object", "properties": {"name": {"type": "string"}}, "required": required})
