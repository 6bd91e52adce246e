"""Exports that are damaged, hostile or not exports: one sentence and a code, and nothing half done."""

import json
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import boto3
import pytest

from functions.ingest.imports import archive, draft, json_items, run
from functions.ingest.messages import ImportMessage
from parley.db.vectors import Vector
from parley.deadline import Deadline
from parley.llm.errors import ProviderTimeout
from tests.fakes.chat_exports import chatgpt_conversation, chatgpt_message, chatgpt_trip, zipped
from tests.functions.ingest.imports.test_sources import TRIP, left_out


def encrypted(content: bytes) -> bytes:
    """Mark the first file of a ZIP file as encrypted, in its own header and in the directory."""
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.index(mark) + offset
        content = content[:place] + b"\x01" + content[place + 1 :]
    return content


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "corrupt"),
        (b"not an export", "corrupt"),
        (b"\xff\xfe[", "corrupt"),
        (b'[{"mapping": {"a": ', "corrupt"),
        (b"[] trailing", "corrupt"),
        (b'"text"', "corrupt"),
        (zipped([chatgpt_trip()])[:-40], "corrupt"),
        (encrypted(zipped([chatgpt_trip()])), "encrypted"),
        (b"[]", "unsupported_format"),
        (b'[1, "two", null, {"some": "thing"}]', "unsupported_format"),
        (b'{"parley_export": 1, "tables": {}}', "unsupported_format"),
    ],
)
def test_a_file_that_is_no_export_fails_with_a_code(import_export, conversations_of, alice, content, code):
    failed = import_export(alice, content or b" ")

    assert (failed["status"], failed["error_code"]) == ("failed", code)
    assert failed["error"].endswith(".")
    assert conversations_of(alice) == {}


def test_a_file_that_breaks_off_keeps_the_whole_conversations_before(import_export, conversations_of, alice):
    text = json.dumps([chatgpt_trip(), chatgpt_trip(id="c2")]).encode()
    failed = import_export(alice, text[:-200])

    assert (failed["status"], failed["error_code"], failed["conversations_added"]) == ("failed", "corrupt", 1)
    assert conversations_of(alice) == {"Puffins": TRIP}


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ({"mapping": None}, "malformed"),
        ({"mapping": {"x": {"message": {"content": 5}}}}, "empty"),
        ({"conversation_id": 7, "id": None}, "malformed"),
        ({"mapping": dict([chatgpt_message("m", "user", "\n ", parent="root")])}, "empty"),
    ],
)
def test_a_conversation_that_cannot_be_read_does_not_stop_the_others(import_export, conversations_of, alice, broken, code):
    run = import_export(alice, [chatgpt_trip(id="c2") | broken | {"title": "Broken"}, chatgpt_trip()])
    (entry,) = [each for each in run["left_out"] if each["code"] == code]

    assert (run["status"], entry["count"], entry["titles"]) == ("ready", 1, ["Broken"])
    assert conversations_of(alice) == {"Puffins": TRIP}


def test_a_conversation_of_which_two_messages_have_the_same_id_is_left_out(import_export, conversations_of, alice):
    said = [{"uuid": "m", "sender": sender, "text": "Hi", "created_at": "2025-08-24T00:00:00Z"} for sender in ("human", "assistant")]
    run = import_export(alice, [{"uuid": "c", "name": "Twice", "chat_messages": said}, chatgpt_trip()])

    assert (run["status"], left_out(run)["malformed"], conversations_of(alice)) == ("ready", 1, {"Puffins": TRIP})


def test_a_loop_in_the_tree_ends(import_export, conversations_of, alice):
    nodes = [chatgpt_message("a", "user", "one", parent="b"), chatgpt_message("b", "assistant", "two", parent="a")]
    import_export(alice, [chatgpt_conversation(*nodes, title="Loop")])

    assert conversations_of(alice) == {"Loop": [("user", "one"), ("assistant", "two")]}


def test_characters_that_cannot_be_stored_are_replaced(import_export, conversations_of, alice):
    import_export(alice, [chatgpt_conversation(chatgpt_message("a", "user", "one\0two", parent="root"), title="N\0UL")])

    assert conversations_of(alice) == {"N\ufffdUL": [("user", "one\ufffdtwo")]}


def test_a_conversation_over_a_limit_is_left_out_and_the_others_stay(import_export, conversations_of, alice, monkeypatch):
    monkeypatch.setattr(json_items, "MAX_ITEM_BYTES", 20_000)
    nodes = [chatgpt_message(f"m{number}", "user", "x" * 500, parent="root") for number in range(50)]
    run = import_export(alice, [chatgpt_conversation(*nodes, id="large"), chatgpt_trip()])

    assert (run["status"], left_out(run)["too_large"], list(conversations_of(alice))) == ("ready", 1, ["Puffins"])


def test_a_conversation_that_is_nested_too_deeply_is_left_out(import_export, conversations_of, alice):
    text = json.dumps([chatgpt_trip()])
    deep = f"[{'[' * 5000}{']' * 5000}, {text[1:]}".encode()
    run = import_export(alice, deep)

    assert (run["status"], left_out(run)["too_large"], list(conversations_of(alice))) == ("ready", 1, ["Puffins"])


@pytest.mark.parametrize(("limit", "value"), [("MAX_JSON_BYTES", 100_000), ("MAX_TOKEN_BYTES", 200_000)])
def test_a_zip_bomb_fails_before_it_is_unpacked(import_export, alice, monkeypatch, limit, value):
    monkeypatch.setattr(archive, limit, value)
    failed = import_export(alice, zipped([chatgpt_conversation(chatgpt_message("a", "user", "x" * 3_000_000, parent="root"))]))

    assert (failed["status"], failed["error_code"]) == ("failed", "too_large")


def test_a_long_list_of_file_names_is_not_read(import_export, alice, monkeypatch):
    monkeypatch.setattr(archive, "MAX_DIRECTORY_BYTES", 100)

    assert import_export(alice, zipped([chatgpt_trip()]))["error_code"] == "too_large"


def test_only_the_end_of_a_large_archive_is_read_before_its_list_of_files_is_known_to_be_short(tmp_path):
    path = tmp_path / "export.zip"
    with path.open("wb") as file:
        file.write(b"x")
        file.truncate(300_000_000)
        file.seek(0, 2)
        file.write(zipped([chatgpt_trip()]))
    tracemalloc.start()
    archive._check_directory(str(path))
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most_bytes < 10_000_000


def test_a_long_text_is_cut_and_reported(import_export, conversations_of, alice, monkeypatch):
    monkeypatch.setattr(draft, "MAX_MESSAGE_CHARACTERS", 10)
    run = import_export(alice, [chatgpt_conversation(chatgpt_message("a", "user", "x" * 50, parent="root"), title="Long")])

    assert (left_out(run), conversations_of(alice)) == ({"text_cut": 1}, {"Long": [("user", "x" * 10)]})


def test_a_conversation_older_than_the_retention_is_left_out(import_export, conversations_of, auth, alice):
    auth.patch("/auth/me", {"retention_days": 30}, as_=alice)
    run = import_export(alice, [chatgpt_trip()])

    assert (left_out(run)["expired"], conversations_of(alice)) == (1, {})


def test_an_upload_of_another_size_fails(documents, ingest, environment, alice):
    import_id = documents.post("/conversations/imports", {"filename": "a.json", "bytes": 100}, as_=alice).json["id"]
    key = f"imports/{alice.id}/{import_id}"
    boto3.client("s3").put_object(Bucket=environment["PARLEY_FILES_BUCKET"], Key=key, Body=b"[]")
    ingest.deliver(json.dumps({"Records": [{"s3": {"object": {"key": key}}}]}))

    assert documents.get(f"/conversations/imports/{import_id}", as_=alice).json["error_code"] == "size_mismatch"


def test_an_import_that_has_not_begun_is_replaced(documents, alice):
    first = documents.post("/conversations/imports", {"filename": "a.json", "bytes": 100}, as_=alice).json["id"]
    documents.post("/conversations/imports", {"filename": "b.json", "bytes": 100}, as_=alice)

    assert documents.get(f"/conversations/imports/{first}", as_=alice).json["error_code"] == "replaced"


def test_while_an_import_runs_no_other_begins(documents, postgres, alice):
    documents.post("/conversations/imports", {"filename": "a.json", "bytes": 100}, as_=alice)
    postgres.execute(f"UPDATE imports SET status = 'processing' WHERE user_id = '{alice.id}'")
    refused = documents.post("/conversations/imports", {"filename": "b.json", "bytes": 100}, as_=alice)

    assert (refused.status, refused.json["code"]) == (409, "import_in_progress")


def test_an_export_over_the_limit_is_refused(documents, alice):
    refused = documents.post("/conversations/imports", {"filename": "a.zip", "bytes": 500_000_001}, as_=alice)

    assert (refused.status, refused.json["code"]) == (413, "file_too_large")


def test_an_import_without_time_goes_on_where_it_stopped(documents, ingest, environment, conversations_of, alice, monkeypatch):
    from functions.ingest.app import services

    monkeypatch.setattr(run, "BATCH", 1)
    content = json.dumps([chatgpt_trip() | {"title": "One"}, chatgpt_trip(id="c2") | {"title": "Two"}]).encode()
    import_id = documents.post("/conversations/imports", {"filename": "a.json", "bytes": len(content)}, as_=alice).json["id"]
    services.import_files.put(f"imports/{alice.id}/{import_id}", content, media_type="application/json")
    message = ImportMessage(alice.id, UUID(import_id))
    run.run_import(services, message, deadline=Deadline.after(20))
    assert list(conversations_of(alice)) == ["One"]
    run.run_import(services, message, deadline=Deadline.after(300))
    shown = documents.get(f"/conversations/imports/{import_id}", as_=alice).json

    assert (shown["status"], shown["conversations_added"], shown["conversations_unchanged"]) == ("ready", 2, 0)


@dataclass
class BusyEmbedding:
    """An embedding model that fails for batches of more than `limit` texts."""

    limit: int

    def model_name(self) -> str:
        return "lexical"

    def vectors(self, texts: Sequence[str], **_: object) -> list[Vector]:
        if len(texts) > self.limit:
            raise ProviderTimeout("acme", "too slow")
        return [Vector("lexical", [1.0]) for _ in texts]


@pytest.mark.parametrize(("limit", "code"), [(4, set()), (0, {"vectors"})])
def test_a_slow_model_gets_smaller_batches_and_in_the_end_a_note(documents, ingest, conversations_of, alice, limit, code):
    from functions.ingest.app import services

    content = json.dumps([chatgpt_trip()]).encode()
    import_id = documents.post("/conversations/imports", {"filename": "a.json", "bytes": len(content)}, as_=alice).json["id"]
    services.import_files.put(f"imports/{alice.id}/{import_id}", content, media_type="application/json")
    slow = replace(services, embedding=BusyEmbedding(limit))
    for _ in range(run.MAX_FAILURES + 1):
        run.run_import(slow, ImportMessage(alice.id, UUID(import_id)), deadline=Deadline.after(300))
    shown = documents.get(f"/conversations/imports/{import_id}", as_=alice).json

    assert (shown["status"], left_out(shown).keys() & {"vectors"}) == ("ready", code)
