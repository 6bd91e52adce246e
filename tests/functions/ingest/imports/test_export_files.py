"""The file of an import: its values one at a time, within limits, and the report of what was read."""

import json
import sys
import zipfile
from collections import Counter
from io import BytesIO
from uuid import uuid4

import pytest

from functions.ingest.imports import archive, json_items
from functions.ingest.imports.archive import Archive, BoundedFile, asset_id
from functions.ingest.imports.draft import ExportSource
from functions.ingest.imports.errors import CorruptExport, ExportTooLarge
from functions.ingest.imports.json_items import read_items
from functions.ingest.imports.reader import read_conversations
from functions.ingest.imports.report import Report
from parley.db.imports.imported_conversations import StoredImport
from tests.fakes.chat_exports import chatgpt_conversation, chatgpt_message


@pytest.mark.parametrize(
    ("name", "id"),
    [("file-Ab12-photo.png", "file-Ab12"), ("file_9z.jpg", "file_9z"), ("files-1", None), ("photo.png", None), ("", None)],
)
def test_an_asset_is_known_by_the_beginning_of_its_name(name, id):
    assert asset_id(name) == id


@pytest.mark.parametrize(("limit", "is_read"), [(10, True), (9, False)])
@pytest.mark.parametrize("name", ["MAX_JSON_BYTES", "MAX_TOKEN_BYTES"])
def test_a_file_may_be_as_large_as_allowed_and_no_larger(monkeypatch, name, limit, is_read):
    monkeypatch.setattr(archive, name, limit)
    file = BoundedFile(BytesIO(b"x" * 10), 10)
    file.read(6)
    if is_read:
        assert (file.read(9), file.bytes_read) == (b"x" * 4, 10)
    else:
        with pytest.raises(ExportTooLarge):
            file.read(9)


def items(text, monkeypatch=None, **limits):
    for name, limit in limits.items():
        monkeypatch.setattr(json_items, name, limit)
    return list(read_items(BoundedFile(BytesIO(text.encode()), len(text))))


def test_a_file_is_a_list_one_value_or_tables(monkeypatch):
    assert [item.value for item in items('[{"a": [1, {"b": 2}]}, 7, {"c": 0.5}]')] == [{"a": [1, {"b": 2}]}, {}, {"c": 0.5}]
    assert [item.value for item in items('{"a": {"b": [1]}, "c": 2}')] == [{"a": {"b": [1]}, "c": 2}]
    tables = '"tables": {"a": [{"id": 1}], "b": [{"id": 2}, {"id": 3}]}'
    tables = f'{{"parley_export": {{"tables": 1}}, "x": {{"tables": {{"no": [1]}}}}, {tables}, "y": [1]}}'
    assert [(item.table, item.value) for item in items(tables)] == [("a", {"id": 1}), ("b", {"id": 2}), ("b", {"id": 3})]


@pytest.mark.parametrize("text", ["", "7", "[1", "{}x", '[{"a": 1}] 2', f"[1e{'9' * 30}]"])
def test_a_file_that_is_no_such_json_is_corrupt(text):
    with pytest.raises(CorruptExport):
        items(text)


@pytest.mark.parametrize(
    ("limits", "is_kept"),
    [({"MAX_DEPTH": 3}, True), ({"MAX_DEPTH": 2}, False), ({"MAX_ITEM_BYTES": 261}, True), ({"MAX_ITEM_BYTES": 260}, False)],
)
def test_a_value_over_a_limit_is_left_out_and_the_next_is_read(monkeypatch, limits, is_kept):
    whole, after = items('[{"a": [["text"]]}, {}]', monkeypatch, **limits)

    # Eight events of 32 bytes, a key of one letter and a text of four.
    assert (whole.value, whole.size, after.value) == ({"a": [["text"]]} if is_kept else None, 261, {})


@pytest.mark.parametrize(("levels", "is_kept"), [(4_000, True), (4_001, False)])
def test_a_value_has_four_thousand_levels_at_most(levels, is_kept):
    (item,) = items(f"[{'[' * levels}{']' * levels}]")

    assert item.value == ({} if is_kept else None)


def test_numbers_of_a_file_are_no_decimals():
    (item,) = items('[{"at": 1756000000.25}]')

    assert type(item.value["at"]) is float


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_an_integer_of_a_file_may_be_large(number):
    whole, after = items(f'[{{"id": {number}}}, {{}}]')

    assert (whole.value, after.value) == ({"id": number}, {})


def test_an_integer_of_more_digits_than_python_converts_by_default_ends_no_worker():
    whole, after = items(f'[{{"id": {"9" * 5000}}}, {{}}]')

    assert (whole.value == {"id": 10**5000 - 1}, after.value, sys.get_int_max_str_digits()) == (True, {}, 4300)


@pytest.mark.parametrize(("limit", "is_read"), [(130_000, False), (250_000, True)])
def test_an_integer_has_as_many_digits_as_allowed_and_no_more(monkeypatch, limit, is_read):
    monkeypatch.setattr(archive, "MAX_NUMBER_BYTES", limit)
    text = f'[{{"id": {"9" * 200_000}}}]'
    if is_read:
        assert len(items(text)) == 1
    else:
        with pytest.raises(ExportTooLarge):
            items(text)


def test_a_report_keeps_five_titles_of_a_hundred_letters():
    report = Report(None, 0, Counter(), 0)
    for number in range(7):
        report.leave_out("malformed", f"{number}" * 120)
    report.leave_out("empty", "")

    assert (report.left_out["malformed"]["count"], report.left_out["empty"]) == (7, {"count": 1, "titles": []})
    assert [(title[0], len(title)) for title in report.left_out["malformed"]["titles"]] == [(str(number), 100) for number in range(5)]


def test_a_copy_of_a_report_changes_alone():
    report = Report("acme", 3, Counter(added=1), 9, {"empty": {"count": 1, "titles": ["a"]}})
    copy = report.copy()
    copy.leave_out("empty", "b")
    copy.count_position("other")
    copy.count_stored(StoredImport(uuid4(), "added", 4))
    copy.count_parts(Counter(images=2, attachments=0))

    assert (report.position, report.outcomes["added"], report.left_out) == (3, 1, {"empty": {"count": 1, "titles": ["a"]}})
    assert (copy.position, copy.program, copy.outcomes["added"], copy.messages) == (4, "acme", 2, 13)
    assert {code: entry["count"] for code, entry in copy.left_out.items()} == {"empty": 2, "images": 2}


def test_an_empty_archive_has_no_documents(tmp_path):
    zipfile.ZipFile(path := tmp_path / "export.zip", "w").close()
    with Archive.opened(str(path)) as opened:
        assert opened.document_names() == []


def test_a_zip_file_made_on_a_mac_has_its_json_files_as_documents_and_nothing_else(tmp_path):
    with zipfile.ZipFile(path := tmp_path / "export.zip", "w") as file:
        for name in ("chats.json", "photo.png", "__MACOSX/._chats.json"):
            file.writestr(name, "[]")
    with Archive.opened(str(path)) as opened:
        assert opened.document_names() == ["chats.json"]


def test_an_imports_progress_grows_with_its_files(tmp_path):
    with zipfile.ZipFile(path := tmp_path / "export.zip", "w") as file:
        for name in ("conversations-1.json", "conversations-2.json", "users.json"):
            file.writestr(name, json.dumps([chatgpt_conversation(chatgpt_message("q", "user", "Why?", parent="root"))]))
    with Archive.opened(str(path)) as opened:
        done = [result.done for result in read_conversations(ExportSource(uuid4(), opened), has_image=lambda key: True)]

    assert done == [0.5, 1.0]
