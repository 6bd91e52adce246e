"""The exact bounds of schemas, forms, results and tools, and the reasons that models and users are told."""

import json
from types import SimpleNamespace

import pytest

from parley.errors import InvalidInput
from parley.tools import outcome
from parley.tools.arguments import argument_errors, parse_errors, rejected_arguments, render_errors
from parley.tools.ask_user import ASK_USER
from parley.tools.forms import Form, FormField, FormOption, UnusableForm, form_of_model, form_of_server
from parley.tools.outcome import ArgumentError, ToolOutcome, run_safely, truncate_result
from parley.tools.schema_bounds import SchemaTooComplex, check_schema
from parley.tools.search_tools import SEARCH_CONVERSATIONS, SEARCH_DOCUMENTS
from parley.tools.spec import Tool, ToolSpec, ToolUnusable
from parley.tools.web_search import WEB_SEARCH

OPTIONS = tuple(FormOption(value=value, label=value) for value in ("a", "b", "c"))


# Schemas


def chain(levels):
    return {"x": chain(levels - 1)} if levels else {}


def is_accepted(schema):
    try:
        check_schema(schema)
    except SchemaTooComplex:
        return False
    return True


@pytest.mark.parametrize(
    ("schema", "is_within"),
    [
        (chain(32), True),
        (chain(33), False),
        ({"allOf": [{"$ref": "#/$defs/a"}] * 100, "$defs": {"a": {}}}, True),
        ({"allOf": [{"$ref": "#/$defs/a"}] * 101, "$defs": {"a": {}}}, False),
        ({"properties": {str(number): {} for number in range(4_998)}}, True),
        ({"properties": {str(number): {} for number in range(4_999)}}, False),
        ({"$defs": {str(number): {} for number in range(9_000)}}, True),
        ({"definitions": {str(number): {} for number in range(9_000)}}, True),
        ({"allOf": [{"$ref": "#/$defs/a"}] * 50, "$defs": {"a": {"items": [{}] * 96}}}, True),
        ({"allOf": [{"$ref": "#/$defs/a"}] * 50, "$defs": {"a": {"items": [{}] * 97}}}, False),
        ({"properties": {"a": {"$ref": "#/$defs/a~1b~0c"}}, "$defs": {"a/b~c": {}}}, True),
        ({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": "text"}}, True),
        ({"properties": {"a": {"$ref": "#/properties/a/x"}}}, False),
        ({"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}}, True),
        ({"properties": {"a": {"$id": "https://example.com"}}}, False),
        ({"properties": {"a": {"$recursiveRef": "#"}}}, False),
    ],
)
def test_a_schema_may_reach_each_bound_and_not_exceed_it(schema, is_within):
    assert is_accepted(schema) is is_within


def test_arguments_have_ten_short_errors_that_survive_the_way_back():
    schema = {"type": "object", "properties": {"a": {"items": {"type": "integer"}}}}
    errors = argument_errors(schema, {"a": ["x" * 1_000] * 20})

    assert (len(errors), {len(error.msg) for error in errors}) == (10, {300})
    assert parse_errors(json.loads(json.dumps(render_errors(errors)))) == errors
    assert rejected_arguments([ArgumentError(("a", 1), "no"), ArgumentError((), "why")]).content.endswith("schema: /a/1: no; /: why")
    assert parse_errors(None) == []


# Forms


@pytest.mark.parametrize(
    ("field", "answer", "reason"),
    [
        ({"kind": "boolean"}, 0, "must be true or false"),
        ({"kind": "number", "minimum": 1.5}, 1.4, "must be at least 1.5"),
        ({"kind": "number", "maximum": 3}, 3.1, "must be at most 3"),
        ({"kind": "number", "is_integer": True}, 1.5, "must be a whole number"),
        ({"kind": "number"}, float("inf"), "must be a number"),
        ({"kind": "text", "max_length": 3}, "four", "must have at most 3 characters"),
        ({"kind": "text", "max_length": 9_000}, "x" * 4_001, "must have at most 4000 characters"),
        ({"kind": "text", "min_length": 3}, "no", "must have at least 3 characters"),
        ({"kind": "text", "format": "date-time"}, "noon", "must have the format date-time"),
        ({"kind": "multiple", "options": OPTIONS}, [], "must have at least 1 options"),
        ({"kind": "multiple", "options": OPTIONS, "min_length": 2}, ["a"], "must have at least 2 options"),
        ({"kind": "multiple", "options": OPTIONS, "max_length": 1}, ["a", "b"], "must have at most 1 options"),
        ({"kind": "multiple", "options": OPTIONS}, ["d"], "must be a list of different options"),
        ({"kind": "choice", "options": OPTIONS}, "d", "must be one of the options"),
    ],
)
def test_an_answer_is_refused_with_its_reason(field, answer, reason):
    assert FormField(id="x", text="Well?", **field).error_in(answer) == reason


@pytest.mark.parametrize(
    ("field", "answer"),
    [
        ({"kind": "number", "is_integer": True}, 2.0),
        ({"kind": "number", "maximum": 3}, 3),
        ({"kind": "text", "required": False}, " "),
        ({"kind": "multiple", "options": OPTIONS, "min_length": 0}, ["a"]),
        ({"kind": "text", "format": "email"}, "a@b"),
    ],
)
def test_an_answer_at_a_bound_fits(field, answer):
    assert FormField(id="x", text="Well?", **field).error_in(answer) is None


@pytest.mark.parametrize("address", ["@example.com", "ada@", "ada example.com", "ada @example.com", "ada@example.com "])
def test_an_address_needs_a_name_a_host_and_no_spaces(address):
    assert FormField(id="x", text="Well?", kind="text", format="email").error_in(address)


def test_a_form_names_the_answer_that_does_not_fit_and_its_model_sees_all_questions():
    fields = tuple(FormField(id=id, text=f"{id}?", kind="boolean", required=id == "b") for id in "abc")
    form = Form(fields=fields)
    with pytest.raises(InvalidInput) as refused:
        form.checked({"a": True, "c": None})

    assert refused.value.errors[0]["msg"] == "answer 2 must be answered"
    assert form.checked({"b": False, "c": None}) == {"b": False}
    assert json.loads(form.render({"b": False}))["answers"][1:] == [{"question": "b?", "answer": False}, {"question": "c?", "answer": None}]


@pytest.mark.parametrize(
    ("fields", "is_usable"),
    [
        ({"kind": "choice", "options": OPTIONS[:1]}, True),
        ({"kind": "choice", "options": (*OPTIONS, OPTIONS[0])}, False),
        ({"kind": "choice"}, False),
        ({"kind": "text", "options": OPTIONS}, False),
        ({"kind": "text", "default": ""}, False),
        ({"kind": "boolean", "default": False}, True),
    ],
)
def test_a_field_is_usable_if_its_options_and_its_default_fit(fields, is_usable):
    try:
        FormField(id="x", text="Well?", **fields)
    except ValueError:
        assert not is_usable
    else:
        assert is_usable


def test_the_questions_of_a_model_are_numbered_from_one():
    form = form_of_model({"questions": [{"text": "Well?", "kind": "text", "required": False}] * 4})

    assert [(field.id, field.required) for field in form.fields] == [(id, False) for id in "1234"]
    with pytest.raises(UnusableForm, match=r"^Not asked: /questions"):
        form_of_model({"questions": [{"text": "Well?", "kind": "text"}] * 5})


def test_a_server_may_ask_ten_questions_and_its_options_may_have_no_titles():
    properties = {str(number): {"type": "string", "oneOf": [{"const": "s"}, {"const": "b", "title": "Big"}]} for number in range(10)}
    form = form_of_server("Book?", {"properties": properties, "required": ["3"]})

    assert [field.id for field in form.fields if field.required] == ["3"]
    assert {option.label for option in form.fields[0].options} == {"s", "Big"}
    assert form_of_server("Book?", {"properties": {"a": {"type": "integer"}}}).fields[0].required is False


def test_a_message_of_a_server_has_two_thousand_characters_and_a_result_64_kib():
    properties = {"properties": {"a": {"type": "boolean"}}}
    assert form_of_server("x" * 2_000, properties).message == "x" * 2_000
    with pytest.raises(UnusableForm):
        form_of_server("x" * 2_001, properties)

    assert [len(truncate_result("x" * size)) for size in (65_536, 65_537)] == [65_536, 65_536]


def test_a_reason_that_a_form_is_unusable_is_short():
    with pytest.raises(UnusableForm) as refused:
        form_of_server("Book?", {"properties": {"x" * 90: {"type": "boolean", "minimum": 1, "default": "y" * 900}}})

    assert len(refused.value.public_message) <= 300


def question(**fields):
    return {"text": "?", "kind": "text"} | fields


def choice(*options):
    return question(kind="choice", options=list(options))


@pytest.mark.parametrize(
    ("questions", "is_asked"),
    [
        ([], False),
        ([question()], True),
        ([question()] * 4, True),
        ([question()] * 5, False),
        ([question(text="")], False),
        ([question(text="x" * 500)], True),
        ([question(text="x" * 501)], False),
        ([choice("a")], True),
        ([choice("")], False),
        ([choice("a" * 200)], True),
        ([choice("a" * 201)], False),
        ([choice(*map(str, range(12)))], True),
        ([choice(*map(str, range(13)))], False),
        ([question(hint="x")], False),
    ],
)
def test_a_model_may_ask_as_its_tools_schema_says(questions, is_asked):
    arguments = {"questions": questions}
    try:
        form_of_model(arguments)
    except UnusableForm:
        assert not is_asked
    else:
        assert is_asked
    assert (argument_errors(ASK_USER.parameters, arguments) == []) is is_asked


@pytest.mark.parametrize(
    ("fields", "is_usable"),
    [
        ({"id": "x" * 100}, True),
        ({"id": "x" * 101}, False),
        ({"id": ""}, False),
        ({"text": "?"}, True),
        ({"kind": "choice", "options": [{"value": "", "label": "-"}]}, True),
        ({"kind": "choice", "options": [{"value": "", "label": ""}]}, False),
        ({"kind": "choice", "options": [{"value": "v" * 200, "label": "l" * 200}]}, True),
        ({"kind": "choice", "options": [{"value": "v" * 201, "label": "l"}]}, False),
        ({"kind": "choice", "options": [{"value": "v", "label": "l" * 201}]}, False),
        ({"kind": "choice", "options": [{"value": str(number), "label": "l"} for number in range(50)]}, True),
        ({"kind": "choice", "options": [{"value": str(number), "label": "l"} for number in range(51)]}, False),
        ({"hint": "x"}, False),
    ],
)
def test_a_field_has_bounds(fields, is_usable):
    try:
        Form.model_validate({"server": "s" * 100, "fields": [{"id": "x", "text": "Well?", "kind": "text"} | fields]})
    except ValueError:
        assert not is_usable
    else:
        assert is_usable


def test_the_name_of_a_forms_server_has_a_hundred_letters_at_most():
    with pytest.raises(ValueError, match="100"):
        Form.model_validate({"server": "s" * 101, "fields": [{"id": "x", "text": "Well?", "kind": "text"}]})


@pytest.mark.parametrize("field", [{"title": "Name", "enum": ["a"]}, {"title": "Name"}, {}], ids=["choice", "titled", "plain"])
def test_a_field_of_a_server_needs_an_answer_only_if_it_is_required(field):
    form = form_of_server("Book?", {"properties": {"name": {"type": "string"} | field}, "required": None})

    assert [(each.text, each.required, each.is_integer) for each in form.fields] == [(field.get("title", "name"), False, False)]


# Results and tools


@pytest.mark.parametrize(("spec", "longest"), [(SEARCH_CONVERSATIONS, 1_000), (SEARCH_DOCUMENTS, 1_000), (WEB_SEARCH, 400)])
def test_a_search_has_one_query_of_limited_length(spec, longest):
    def is_taken(**arguments):
        return argument_errors(spec.parameters, arguments) == []

    assert [is_taken(query="x" * size) for size in (0, 1, longest, longest + 1)] == [False, True, True, False]
    assert not is_taken(query="x", page=2)


def test_only_the_search_of_the_web_sends_data_out():
    assert [spec.egress for spec in (SEARCH_CONVERSATIONS, SEARCH_DOCUMENTS, WEB_SEARCH)] == [False, False, True]


def test_a_tool_is_on_and_harmless_unless_it_says_otherwise():
    spec = ToolSpec("echo", "Echoes.", {}, "plugin")

    assert (spec.is_enabled, spec.requires_approval, spec.egress, spec.writes) == (True, False, False, False)


@pytest.mark.parametrize(("text", "is_cut"), [("x" * 100, False), ("x" * 101, True), ("ä" * 50, False), ("ä" * 51, True)])
def test_a_result_that_just_fits_is_whole(text, is_cut):
    result = truncate_result(text, max_bytes=100)

    assert (result == text, len(result.encode()) <= 100) == (not is_cut, True)
    assert not is_cut or len(result.encode()) >= 99


@pytest.mark.parametrize(
    ("fields", "is_usable"),
    [
        ({}, True),
        ({"timeout_s": 10}, True),
        ({"timeout_s": 0.1}, True),
        ({"timeout_s": 10.1}, False),
        ({"timeout_s": 0}, False),
        ({"name": "a" * 64}, True),
        ({"name": "a" * 65}, False),
        ({"name": "a.b"}, False),
        ({"description": " "}, False),
    ],
)
def test_a_tool_has_a_name_a_description_and_at_most_ten_seconds(fields, is_usable):
    spec = ToolSpec(**{"name": "echo", "description": "Echoes.", "parameters": {}, "source": "plugin"} | fields)
    try:
        Tool(spec, lambda arguments, context: "")
    except ToolUnusable:
        assert not is_usable
    else:
        assert is_usable


def test_a_tool_is_timed_in_milliseconds(monkeypatch):
    clock_s = iter([5.0, 5.2504567])
    monkeypatch.setattr(outcome, "time", SimpleNamespace(perf_counter=lambda: next(clock_s)))

    assert run_safely("clock", lambda: ToolOutcome(True, "noon")) == ToolOutcome(True, "noon", elapsed_ms=250.5)


@pytest.mark.parametrize(("name", "logged"), [("weather", "weather"), ("notes.read", "mcp")])
def test_a_tool_that_breaks_is_a_failure_without_its_reason(name, logged, caplog):
    failed = run_safely(name, lambda: {}["secret"])

    assert (failed.ok, failed.content) == (False, "The tool failed.")
    assert [record.tool for record in caplog.records if record.message == "tool_failed"] == [logged]
    assert "secret" not in caplog.text
