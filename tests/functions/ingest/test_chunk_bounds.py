"""Exactly where texts are divided: chunks, overlaps, segments, tables and blocks of values."""

from uuid import UUID

import pytest

from functions.ingest import sandbox
from functions.ingest.block import Block
from functions.ingest.chunker import Chunker, split_block, split_sentences
from functions.ingest.errors import Corrupt, DocumentTooLarge, EmptyFile, Unsupported
from functions.ingest.file_type import detect_format
from functions.ingest.formats import csv, json
from functions.ingest.messages import DocumentMessage, ImportMessage, UnknownDocumentMessage, message_of_key, parse_messages
from functions.ingest.parser_process import parse_file
from parley.llm.tokens import estimate_tokens
from tests.support import document_files


def texts(*paragraphs, chunk_tokens=100, overlap_tokens=0):
    chunker = Chunker(chunk_tokens=chunk_tokens, overlap_tokens=overlap_tokens)
    return [chunk.text for chunk in chunker.chunks_of(Block("paragraph", text) for text in paragraphs)]


def segments(text, max_tokens, kind="paragraph"):
    return list(split_block(Block(kind, text), max_tokens=max_tokens))


TWO = estimate_tokens("One.") + estimate_tokens("Two.")


@pytest.mark.parametrize(("size", "chunks"), [(TWO, ["One.\n\nTwo."]), (TWO - 1, ["One.", "Two."])])
def test_paragraphs_share_a_chunk_that_they_fill_exactly(size, chunks):
    assert texts("One.", "Two.", chunk_tokens=size) == chunks


@pytest.mark.parametrize(("overlap_tokens", "overlap"), [(TWO, "One. Two.\n\n"), (TWO - 1, "Two.\n\n"), (1, "")])
def test_the_overlap_has_as_many_of_the_last_sentences_as_fit_in_their_order(overlap_tokens, overlap):
    first, second = texts("One. Two.", "x" * 250, chunk_tokens=95, overlap_tokens=overlap_tokens)

    assert (first, second) == ("One. Two.", overlap + "x" * 250)


def test_the_overlap_ends_at_a_sentence_that_does_not_fit():
    (_, second) = texts(f"One. {'long ' * 20}. Two.", "x" * 250, chunk_tokens=95, overlap_tokens=20)

    assert second.startswith("Two.\n\n")


def sized(tokens, *, end=""):
    """Return a text of one word with so many tokens."""
    text = "x" * (3 * (tokens - estimate_tokens("")) - len(end)) + end
    assert estimate_tokens(text) == tokens
    return text


def test_a_chunk_of_a_document_has_400_tokens_and_repeats_60_of_the_chunk_before():
    def chunks(*paragraphs):
        return [chunk.text for chunk in Chunker().chunks_of(Block("paragraph", text) for text in paragraphs)]

    assert [len(chunks(sized(200), sized(size))) for size in (200, 201)] == [1, 2]
    assert [len(chunks(sized(size, end="."), sized(400))[1]) > len(sized(400)) for size in (60, 61)] == [True, False]


def test_numbers_and_tokens_of_chunks():
    chunks = list(Chunker(chunk_tokens=TWO - 1, overlap_tokens=0).chunks_of(Block("paragraph", text) for text in ("One.", "Two.")))

    assert [(chunk.number, chunk.tokens) for chunk in chunks] == [(0, estimate_tokens("One.")), (1, estimate_tokens("Two."))]


@pytest.mark.parametrize(("spare", "segment"), [(0, "One.  Two."), (-1, "One. Two.")])
def test_a_block_that_just_fits_is_left_as_it_is(spare, segment):
    assert segments("One.  Two." + " " * 20, estimate_tokens("One.  Two." + " " * 20) + spare)[0].rstrip() == segment


@pytest.mark.parametrize(("size", "lengths"), [(30, [61, 61]), (29, [30, 30, 30, 30]), (15, [30, 30, 30, 30])])
def test_sentences_share_a_segment_that_they_fill_exactly(size, lengths):
    assert [len(segment) for segment in segments(" ".join(["x" * 29 + "."] * 4), size)] == lengths


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x" * 45, ["x" * 12, "x" * 12, "x" * 12, "x" * 9]),
        ("abcde fghi " + "x" * 36, ["abcde fghi", "x" * 12, "x" * 12, "x" * 12]),
        ("x" * 12 + " " + "y" * 24, ["x" * 12, "y" * 12, "y" * 12]),
        ("x" * 11 + " " + "y" * 24, ["x" * 11, "y" * 12, "y" * 12]),
        ("x" * 6 + " " + "y" * 36, ["xxxxxx " + "y" * 12, "y" * 12, "y" * 12]),
        ("x" * 5 + " " + "y" * 36, ["xxxxx yyyyyy", "y" * 12, "y" * 12 + " " + "y" * 6]),
        ("x" * 12 + "y" * 8 + " " + "z" * 30, ["x" * 12 + " " + "y" * 8, "z" * 12, "z" * 12 + " " + "z" * 6]),
        ("x" * 12 + "y" * 3 + " " + "z" * 30, ["x" * 12, "yyy " + "z" * 8, "z" * 12, "z" * 10]),
        ("x" * 36 + " " + "y" * 8 + " zzz", ["x" * 12, "x" * 12, "x" * 12, "y" * 8 + " zzz"]),
    ],
)
def test_a_text_without_sentences_is_divided_at_the_last_space_in_the_second_half_of_a_segment(text, expected):
    # A segment of 16 tokens has 48 bytes, which is 12 characters of 4 bytes.
    assert segments(text, 16) == expected


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four… Five", ["One.", "Two!", "Three?", "Four…", "Five"]),
        ("一。二！三", ["一。", "二！", "三"]),
        ("One\n\ntwo", ["One", "two"]),
        ("3.5 litres", ["3.5 litres"]),
        (" \n ", []),
    ],
)
def test_sentences_end_in_every_script(text, sentences):
    assert split_sentences(text) == sentences


def test_column_names_of_a_quarter_of_a_segment_are_repeated_and_longer_ones_are_not():
    rows = "\n".join(f"{number} | value" for number in range(60))
    short, long = "n" * 30, "n" * 90

    assert all(segment.startswith(f"{short}\n") for segment in segments(f"{short}\n{rows}", 60, "table"))
    assert sum(long[-20:] in segment for segment in segments(f"{long}\n{rows}", 60, "table")) == 1
    assert all(estimate_tokens(segment) <= 60 + 5 for segment in segments(f"{long}\n{rows}", 60, "table"))


# Formats


@pytest.mark.parametrize(("rows", "sizes"), [(0, [1]), (1, [2]), (50, [51]), (51, [51, 2]), (100, [51, 51])])
def test_a_table_has_fifty_rows_below_its_column_names(rows, sizes):
    blocks = list(csv.read("\n".join(["id,name", *(f"{number},x" for number in range(rows))])))

    assert [len(block.text.split("\n")) for block in blocks] == sizes
    assert {block.text.split("\n")[0] for block in blocks} == {"id | name"}


def test_a_table_without_rows_or_names_has_no_block():
    assert list(csv.read("")) == []


@pytest.mark.parametrize(("values", "sizes"), [(40, [40]), (41, [40, 1])])
def test_a_block_has_forty_values(values, sizes):
    blocks = list(json.read(f'{{"a": {list(range(values))}}}'))

    assert [len(block.text.split("\n")) for block in blocks] == sizes
    assert blocks[0].text.startswith("a[0]: 0\na[1]: 1")


def test_each_element_of_a_list_is_a_block_of_its_own():
    assert [block.text for block in json.read('["one", {"a": null, "b": 2}, []]')] == ["0: one", "1.a: null\n1.b: 2"]


@pytest.mark.parametrize(("size", "is_read"), [(50 * 2**20, True), (50 * 2**20 + 1, False)])
def test_the_text_of_a_word_document_has_fifty_megabytes_at_most(size, is_read):
    content = document_files.zipped({"word/document.xml": "x"})
    place = content.index(b"PK\x01\x02") + 24  # of the unpacked size that the list of files declares
    content = content[:place] + size.to_bytes(4, "little") + content[place + 4 :]
    if is_read:
        assert detect_format(content, "a.docx") == "docx"
    else:
        with pytest.raises(DocumentTooLarge):
            detect_format(content, "a.docx")


@pytest.mark.parametrize(("limit", "is_read"), [(8, True), (7, False)])
def test_a_document_may_have_as_many_characters_as_allowed(monkeypatch, tmp_path, limit, is_read):
    monkeypatch.setattr("functions.ingest.parser_process.MAX_CHARACTERS", limit)
    (tmp_path / "file").write_text("One.\n\nTwo.")
    if is_read:
        assert [block.text for block in parse_file(str(tmp_path / "file"), "notes.txt")] == ["One.", "Two."]
    else:
        with pytest.raises(DocumentTooLarge):
            list(parse_file(str(tmp_path / "file"), "notes.txt"))


@pytest.mark.parametrize(
    ("end", "status", "error"),
    [
        (None, -9, None),
        ("empty", 0, EmptyFile),
        ("unsupported_format", 0, Unsupported),
        ("something new", 0, Corrupt),
        (False, -9, DocumentTooLarge),
        (False, 0, Corrupt),
        (False, 1, Corrupt),
    ],
)
def test_the_end_of_a_parser_gives_the_owner_a_reason(end, status, error):
    if error is None:
        sandbox._check_exit(end, status, "file")
    else:
        with pytest.raises(error) as raised:
            sandbox._check_exit(end, status, "file")
        assert type(raised.value) is error


# Messages of the queue

USER, ID = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (f"documents/{USER}/{ID}", DocumentMessage(USER, ID)),
        (f"imports/{USER}/{ID}", ImportMessage(USER, ID)),
        (f"documents/{USER}/{ID}/more", None),
        (f"images/{USER}/{ID}", None),
        (f"documents/{USER}/nobody", None),
        ("documents", None),
    ],
)
def test_a_key_names_a_document_or_an_import(key, message):
    if message:
        assert message_of_key(key) == message
        assert message.file_key == key
    else:
        with pytest.raises(UnknownDocumentMessage):
            message_of_key(key)


@pytest.mark.parametrize("body", ["{", "[]", '{"Records": [{}]}', '{"Records": 7}', '{"Records": [{"s3": {"object": {"key": "x"}}}]}'])
def test_a_message_of_another_shape_is_refused(body):
    with pytest.raises(UnknownDocumentMessage):
        parse_messages(body)
