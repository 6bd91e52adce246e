"""Hostile files stay within the limits of the sandbox, and do not stop the next file."""

from pathlib import Path

import pytest

from functions.ingest import parser_process, sandbox
from functions.ingest.chunker import Chunker
from functions.ingest.errors import DocumentTooLarge, Unreadable, Unsupported
from functions.ingest.parser_process import MAX_CHARACTERS
from functions.ingest.sandbox import read_blocks
from tests.functions.ingest import bombs
from tests.functions.ingest.bombs import BOMBS
from tests.support import document_files

CPU_S = 1


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_parsed_within_its_limits_or_refused_with_a_reason(stored, name):
    characters, code = 0, None
    try:
        for chunk in Chunker().chunks_of(read_blocks(stored(BOMBS[name]()), name, cpu_s=CPU_S)):
            characters += len(chunk.heading_path("")) + len(chunk.text)
    except Unreadable as exc:
        code = exc.code

    assert characters <= 2 * MAX_CHARACTERS
    assert code in {None, "too_large", "corrupt", "empty", "scanned"}


def test_the_parser_limits_its_memory_time_and_file_size(stored, tmp_path):
    limits = "import resource; print(*(resource.getrlimit(r) for r in (resource.RLIMIT_DATA, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE)))"
    code = f"from functions.ingest.parser_process import _limit_resources; _limit_resources({CPU_S}); {limits}"
    import subprocess
    import sys

    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    megabytes = 2**20
    assert output.split("\n")[0] == f"({400 * megabytes}, {400 * megabytes}) ({CPU_S}, {CPU_S}) (0, 0)"


@pytest.mark.parametrize("name", ["notes.txt", "notes.md"])
def test_a_file_has_at_most_the_characters_of_the_limit(stored, monkeypatch, name):
    monkeypatch.setattr(parser_process, "MAX_CHARACTERS", 20)
    (whole,) = parser_process.parse_file(stored(b"x" * 20), name)

    assert len(whole.text) == 20
    with pytest.raises(DocumentTooLarge):
        list(parser_process.parse_file(stored(b"x" * 10 + b"\n\n" + b"y" * 11), name))


def test_an_endless_number_of_pages_is_too_large(stored):
    with pytest.raises(DocumentTooLarge):
        list(read_blocks(stored(bombs.pdf_of_many_pages(2**31 - 1)), "endless.pdf", cpu_s=CPU_S))


def test_after_a_bomb_the_function_ingests_the_next_file(documents, ready, alice, monkeypatch):
    monkeypatch.setattr(sandbox, "CPU_S", CPU_S)
    bomb, good = (ready(alice, content, filename="a.pdf") for content in (bombs.pdf_page(b"[" * 50_000), document_files.pdf(["Good."])))

    shown = [documents.get(f"/documents/{id}", as_=alice).json for id in (bomb, good)]
    assert [document["status"] for document in shown] == ["failed", "ready"]
    assert shown[0]["error"]


def test_a_wrong_file_name_changes_nothing(stored):
    assert [block.text for block in read_blocks(stored(document_files.pdf(["Text."])), "table.csv")] == ["Text."]
    with pytest.raises(Unsupported):
        list(read_blocks(stored(b"\x89PNG\r\n\x1a\n\0\0\0"), "report.pdf"))


def test_a_table_of_many_columns_loses_none(stored):
    names = [f"c{number}" for number in range(20_000)]
    chunks_of = " ".join(chunk.text for chunk in Chunker().chunks_of(read_blocks(stored(",".join(names).encode()), "wide.csv")))

    assert set(names) - set(chunks_of.replace("|", " ").split()) == set()


def test_formulas_of_a_table_are_text(stored):
    rows = ["=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-1"]

    (block,) = read_blocks(stored("\n".join(["name,value", *(f"x,{row}" for row in rows)]).encode()), "table.csv")
    assert block.text.split("\n")[1:] == [f"x | {row}" for row in rows]


@pytest.mark.parametrize(
    ("name", "content"), [("a.json", rb'{"a\u0000": "b\u0000c \ud800 d"}'), ("a.html", b"<html><p>a&#0;b\xed\xa0\x80 c")]
)
def test_characters_that_postgresql_cannot_store_are_replaced(documents, ready, alice, name, content):
    document_id = ready(alice, content, filename=name)

    (item,) = documents.get(f"/documents/{document_id}/chunks", as_=alice).json["items"]
    assert "\0" not in item["text"]
    assert Path(name).stem == documents.get(f"/documents/{document_id}", as_=alice).json["title"]
