"""The rows of Parley's own export: only what fits together is read, because somebody else may have written the file."""

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from functions.ingest.imports.errors import ExportTooLarge, LeftOut
from functions.ingest.imports.json_items import JsonItem
from functions.ingest.imports.parley_export import _TEXT_FIELDS, read_rows
from functions.ingest.imports.parley_prompts import PromptLeftOut
from parley.db.imports.imported_conversations import ImportedProject
from parley.db.turn.message_parts import AnswerParts

USER = uuid4()
DAY = datetime(2025, 8, 24, tzinfo=UTC)


def row(**fields):
    return {"id": str(uuid4()), "created_at": "2025-08-24T00:00:00Z", "updated_at": "2025-08-24T00:00:00Z"} | fields


def message_row(conversation, seq, **fields):
    parts = [{"type": "text", "text": f"text {seq}"}]
    return row(conversation_id=conversation["id"], seq=seq, role="user", parts=parts, tokens=3, variant=0, is_active=True) | fields


def read_export(*rows, has_image=lambda key: True, left_out=None):
    listed = [JsonItem(value, 100, table) for table, value in rows]
    return list(read_rows(listed, user_id=USER, has_image=has_image, left_out=Counter() if left_out is None else left_out))


def test_conversations_are_read_with_their_messages_in_order():
    talk, empty = row(title="Talk", mined_upto_seq=1), row(title="E" * 300, is_pinned=True, is_archived="yes")
    rows = [message_row(talk, 2, role="assistant", status="stopped", is_forgotten=True), message_row(talk, 1, is_active=None)]
    read, other = read_export(("conversations", talk), ("conversations", empty), *(("messages", each) for each in rows))
    first, second = read.conversation.messages

    assert [(each.seq, each.role, each.status, each.is_forgotten) for each in (first, second)] == [
        (1, "user", "completed", False),
        (2, "assistant", "stopped", True),
    ]
    assert (first.variant, second.variant, other.conversation.mined_upto_seq) == (0, 0, 0)
    assert (read.conversation.mined_upto_seq, other.conversation.messages, other.conversation.title) == (1, [], "E" * 200)
    assert (other.conversation.is_pinned, other.conversation.is_archived) == (True, False)


@pytest.mark.parametrize("flag", ["is_title_automatic", "is_incognito", "is_pinned", "is_archived"])
@pytest.mark.parametrize(("value", "is_set"), [(True, True), (False, False), ("yes", False), (None, False)])
def test_a_flag_of_a_conversation_is_set_only_by_true(flag, value, is_set):
    (read,) = read_export(("conversations", row(**{flag: value})))

    assert getattr(read.conversation, flag) is is_set


@pytest.mark.parametrize(("count", "is_read"), [(2, True), (3, False)])
def test_a_conversation_has_as_many_messages_as_allowed(monkeypatch, count, is_read):
    monkeypatch.setattr("functions.ingest.imports.parley_export.MAX_MESSAGES", 2)
    talk = row()
    (read,) = read_export(("conversations", talk), *(("messages", message_row(talk, seq)) for seq in range(1, count + 1)))

    assert (getattr(read, "code", None) == "too_large") is not is_read


@pytest.mark.parametrize(
    ("rows", "is_read"),
    [
        ([{"seq": 1}, {"seq": 2}], True),
        ([{"seq": 1}, {"seq": 2}, {"seq": 2, "variant": 1, "is_active": False}], True),
        ([{"seq": 1}, {"seq": 3}], False),
        ([{"seq": 2}], False),
        ([{"seq": 1}, {"seq": 1, "is_active": False}], False),
        ([{"seq": 1, "tokens": 2**31 - 1}], True),
        ([{"seq": 1, "tokens": 2**31}], False),
        ([{"seq": 1, "tokens": -1}], False),
        ([{"seq": 1, "tokens": True}], False),
        ([{"seq": 1, "created_at": "no"}], False),
        ([{"seq": 1, "parts": [{"type": "tool_call", "call_id": "c", "name": "n", "arguments": {}}]}], True),
        ([{"seq": 1, "parts": [{"type": "tool_call", "call_id": "c", "name": "n", "arguments": {"a": [1e999]}}]}], False),
        ([{"seq": 1, "parts": [{"type": "tool_call", "call_id": "c", "name": "n", "arguments": {"a": 2**1024}}]}], False),
        ([{"seq": 1, "parts": [{"type": "tool_call", "call_id": "c", "name": "n", "arguments": {"a": 10**30, "b": True}}]}], True),
        ([{"seq": 1, "parts": [{"type": "tool_call", "call_id": "c", "name": "n", "arguments": "{}"}]}], False),
        ([{"seq": 1, "parts": [{"type": "tool_result", "call_id": "c"}]}], False),
        ([{"seq": 1, "parts": [{"type": "tool_result", "call_id": "c", "content": "x", "ok": False}]}], True),
        ([{"seq": 1, "parts": [{"type": "tool_result", "call_id": "c", "content": "x"}]}], False),
        ([{"seq": 1, "parts": [{"type": "tool_result", "call_id": "c", "content": "x", "ok": "yes"}]}], False),
        ([{"seq": 1, "parts": [{"type": "source"}]}], False),
        ([{"seq": 1, "parts": [{"type": "source", "number": 1, "title": "Puffins", "page": None}]}], True),
        ([{"seq": 1, "parts": [{"type": "source", "number": 1, "title": "Puffins", "page": 3, "url": "https://example.com"}]}], True),
        ([{"seq": 1, "parts": [{"type": "source", "number": 1, "title": "Puffins", "page": "3"}]}], False),
        ([{"seq": 1, "parts": [{"type": "source", "number": 1, "title": "Puffins", "url": 3}]}], False),
        ([{"seq": 1, "parts": [{"type": "source", "number": 1}]}], False),
        ([{"seq": 1, "parts": [{"type": "source", "number": [1], "title": "Puffins"}]}], False),
        ([{"seq": 1, "parts": [{"type": "video"}]}], False),
        ([{"seq": 1, "parts": ["text"]}], False),
        ([{"seq": 1, "parts": None}], False),
    ],
)
def test_a_conversation_with_a_row_that_does_not_fit_is_left_out(rows, is_read):
    talk = row()
    (read,) = read_export(("conversations", talk), *(("messages", message_row(talk, **each)) for each in rows))

    assert isinstance(read, LeftOut) is not is_read


def test_an_answer_with_parts_of_every_kind_is_read_without_a_difference():
    answer, talk = AnswerParts(), row()
    answer.add_source({"number": 1, "url": "https://example.com", "title": "Puffins", "snippet": "They dive."})
    answer.add_thought("vendor", "payload")
    answer.add_tool_call("call", "weather", {"location": "Lisbon"})
    answer.add_tool_result("call", ok=True, content="18 °C")
    answer.add_user_message(str(uuid4()), "In Fahrenheit, please")
    answer.add_text("64 °F [1]")
    (read,) = read_export(("conversations", talk), ("messages", message_row(talk, 1, role="assistant", parts=answer.stored())))

    assert {part["type"] for part in answer.stored()} | {"image"} == _TEXT_FIELDS.keys()
    assert read.conversation.messages[0].parts == answer.stored()


def nested(levels):
    return [nested(levels - 1)] if levels else "x\0"


@pytest.mark.parametrize(("levels", "is_read"), [(98, True), (99, True), (100, False)])
def test_a_part_has_a_hundred_levels_at_most(levels, is_read):
    talk = row()
    part = {"type": "tool_call", "call_id": "c", "name": "n", "arguments": {"a": nested(levels - 1)}}
    (read,) = read_export(("conversations", talk), ("messages", message_row(talk, 1, parts=[part])))

    assert (getattr(read, "code", None) == "too_large") is not is_read


def test_the_rows_before_the_messages_have_a_bounded_size(monkeypatch):
    monkeypatch.setattr("functions.ingest.imports.parley_export.MAX_ROWS_BYTES", 200)
    assert len(read_export(("conversations", row()), ("projects", row()))) == 1
    for table in ("conversations", "prompts"):
        assert len(read_export(("conversations", row()), (table, row()))) == 2
        with pytest.raises(ExportTooLarge):
            read_export(("conversations", row()), ("projects", row()), (table, row()))


def test_an_image_gets_the_users_own_key_or_is_counted():
    talk, id, left_out = row(), uuid4(), Counter()
    parts = [{"type": "image", "id": str(id), "media_type": "image/png", "key": "images/somebody/else"}, {"type": "text", "text": "hi"}]
    rows = (("conversations", talk), ("messages", message_row(talk, 1, parts=parts)))
    (shown,), (hidden,) = read_export(*rows), read_export(*rows, has_image=lambda key: False, left_out=left_out)

    assert shown.conversation.messages[0].parts[0]["key"] == f"images/{USER}/{id}"
    assert ([part["type"] for part in hidden.conversation.messages[0].parts], left_out) == (["text"], {"images": 1})


@pytest.mark.parametrize(("scope", "read_as"), [("project", "project"), ("all", "all"), ("x", "all")])
def test_a_project_is_read_with_its_conversations(scope, read_as):
    found = row(name="N" * 200, instructions=7, memory_scope=scope)
    listed = read_export(("projects", found), ("conversations", row(project_id=found["id"])), ("conversations", row(project_id="gone")))
    project, none = (each.conversation.project for each in listed)

    assert project == ImportedProject(UUID(found["id"]), "N" * 100, None, read_as, DAY)
    assert none is None


def test_the_instructions_of_a_project_have_32000_characters_at_most():
    found = row(name="Birds", instructions="I" * 40_000)
    (read,) = read_export(("projects", found), ("conversations", row(project_id=found["id"])))

    assert read.conversation.project.instructions == "I" * 32_000


def prompt_rows(*, name="trip", **version):
    prompt = row(name=name)
    stored = {"prompt_id": prompt["id"], "version": 1, "text": "Go.", "description": "", "created_at": "2025-08-24T00:00:00Z"}
    return [("prompts", prompt), ("prompt_versions", stored | version)]


@pytest.mark.parametrize(
    ("change", "is_read"),
    [
        ({}, True),
        ({"name": "No Name!"}, False),
        ({"version": 0}, False),
        ({"version": 2**31 - 1}, True),
        ({"version": 2**31}, False),
        ({"version": "1"}, False),
        ({"text": ""}, False),
        ({"text": "x"}, True),
        ({"text": "x" * 16_000}, True),
        ({"text": "x" * 16_001}, False),
        ({"created_at": None}, False),
        ({"prompt_id": "another"}, False),
    ],
)
def test_a_prompt_that_does_not_fit_is_left_out(change, is_read):
    (read,) = read_export(*prompt_rows(**change))

    assert isinstance(read, PromptLeftOut) is not is_read


def test_a_prompts_versions_are_in_order_and_an_empty_description_is_none():
    prompt, first = prompt_rows(description="d" * 2_000)
    second = ("prompt_versions", first[1] | {"version": 2, "description": ""})
    (read,) = read_export(prompt, second, first)

    assert [(each.version, bool(each.description)) for each in read.versions] == [(1, True), (2, False)]


@pytest.mark.parametrize(("count", "is_read"), [(2, True), (3, False)])
def test_a_prompt_has_as_many_versions_as_allowed(monkeypatch, count, is_read):
    monkeypatch.setattr("functions.ingest.imports.parley_prompts.MAX_VERSIONS", 2)
    prompt, (table, first) = prompt_rows()
    (read,) = read_export(prompt, *((table, first | {"version": number}) for number in range(1, count + 1)))

    assert isinstance(read, PromptLeftOut) is not is_read
