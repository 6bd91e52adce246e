"""Splitting documents into chunks."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.ingest.block import Block
from functions.ingest.chunker import Chunker, split_block
from parley.llm.tokens import estimate_tokens

SENTENCE = "This sentence has about ten words in it, more or less. "
TEXTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=300), max_size=6)


def chunks_of(*blocks, chunk_tokens=100, overlap_tokens=0):
    return list(Chunker(chunk_tokens=chunk_tokens, overlap_tokens=overlap_tokens).chunks_of(blocks))


def paragraph(text, page=None):
    return Block("paragraph", text, page=page)


def heading(text, level=1):
    return Block("heading", text, level=level)


def test_sections_do_not_share_chunks():
    chunks = chunks_of(heading("A"), paragraph("One."), heading("B", level=2), paragraph("Two."), heading("C"), paragraph("Three."))

    assert [(chunk.headings, chunk.text) for chunk in chunks] == [(("A",), "One."), (("A", "B"), "Two."), (("C",), "Three.")]


def test_short_paragraphs_share_a_chunk():
    assert [chunk.text for chunk in chunks_of(paragraph("One."), paragraph("Two."))] == ["One.\n\nTwo."]


def test_no_chunk_crosses_a_page_break():
    chunks = chunks_of(paragraph("One.", page=1), paragraph("Two.", page=2), overlap_tokens=20)

    assert [(chunk.page, chunk.text) for chunk in chunks] == [(1, "One."), (2, "Two.")]


def test_code_that_fits_stays_whole():
    code = Block("code", "\n\n".join(["x = 1"] * 10))

    assert code.text in [chunk.text for chunk in chunks_of(paragraph(SENTENCE * 4), code)]


def test_a_long_table_repeats_its_first_row():
    rows = "\n".join(f"{number} | value" for number in range(100))

    assert all(piece.startswith("id | name\n") for piece in split_block(Block("table", f"id | name\n{rows}"), max_tokens=60))


def test_a_part_of_a_table_has_room_for_its_first_row():
    # A character of four bytes is the most that a token may have.
    table = Block("table", f"identifier | name | country\n1 | {'🙂' * 500}")

    assert all(estimate_tokens(piece) <= 60 for piece in split_block(table, max_tokens=60))


def test_a_chunk_begins_with_the_last_sentences_of_the_previous_chunk():
    first, second = chunks_of(paragraph(SENTENCE * 4 + "The last one."), paragraph(SENTENCE * 5), overlap_tokens=15)[:2]

    assert (first.text[-13:], second.text[:13]) == ("The last one.", "The last one.")


def test_a_chunk_has_a_heading_path():
    (chunk,) = chunks_of(heading("Leave"), paragraph("Thirty days."))

    assert chunk.heading_path("Handbook") == "Handbook > Leave"


def test_a_chunk_begins_at_its_offset_in_the_documents_text():
    blocks = [
        heading("A"),
        paragraph("One."),
        heading("B"),
        paragraph("Two."),
        paragraph("Three.", page=2),
        heading("C"),
        paragraph("Four"),
    ]
    document = "\n".join(block.text for block in blocks)

    assert [document[chunk.start :].split("\n")[0] for chunk in chunks_of(*blocks)] == ["One.", "Two.", "Three.", "Four"]


@pytest.mark.parametrize(
    "block",
    [
        paragraph(" ".join(f'He said "this is number {number}."  Then he left.' for number in range(90))),
        paragraph("a" * 5000),
        Block("code", "\n".join(f"value_{number} = {number}" for number in range(300))),
        Block("table", "id | name\n" + "\n".join(f"{number} | value" for number in range(300))),
    ],
    ids=["sentences", "a word", "code", "a table"],
)
def test_each_chunk_of_a_long_block_begins_at_its_own_offset(block):
    chunks = chunks_of(block)
    texts = [chunk.text.removeprefix("id | name\n" if number else "") for number, chunk in enumerate(chunks)]
    starts = [chunk.start for chunk in chunks]

    assert starts == sorted(set(starts))
    assert len(starts) > 5
    assert [block.text[start:][:5] for start in starts] == [text[:5] for text in texts]


def test_long_headings_are_truncated_and_the_outermost_dropped():
    headings = [heading(f"{level}" * 5000, level) for level in range(1, 8)]
    (chunk,) = chunks_of(*headings, paragraph("Deep."))

    assert [(title[0], len(title)) for title in chunk.headings] == [(level, 200) for level in "34567"]


def test_a_heading_path_has_a_thousand_letters_and_not_one_more():
    (chunk,) = chunks_of(heading("A", 1), *(heading("B" * 200, level) for level in range(2, 7)), paragraph("Deep."))

    assert chunk.headings == ("B" * 200,) * 5


@settings(max_examples=50, deadline=None)
@given(TEXTS)
def test_no_chunk_exceeds_its_size(texts):
    chunks = chunks_of(*map(paragraph, texts), overlap_tokens=20)

    assert all(estimate_tokens(chunk.text) <= 100 + 20 + 20 for chunk in chunks)


@settings(max_examples=50, deadline=None)
@given(TEXTS)
def test_only_whitespace_is_lost(texts):
    chunks = chunks_of(*map(paragraph, texts))

    assert "".join("".join(chunk.text.split()) for chunk in chunks) == "".join("".join(text.split()) for text in texts)


def cpu_s(block):
    """Return the processor time of splitting a block; the best of three, because other processes disturb caches."""
    times = []
    for _ in range(3):
        began = time.process_time()
        assert len(chunks_of(block, chunk_tokens=400)) > 1000
        times.append(time.process_time() - began)
    return min(times)


@pytest.mark.parametrize(
    ("kind", "prefix"), [("paragraph", ""), ("code", ""), ("table", "name\n")], ids=["a word", "a line of code", "a cell of a table"]
)
def test_splitting_a_text_without_spaces_takes_time_linear_in_its_length(kind, prefix):
    million, four_millions = (cpu_s(Block(kind, prefix + "a" * size)) for size in (1_000_000, 4_000_000))

    # Copying the rest of the word for every segment makes it 12 to 16 times as long.
    assert four_millions < 8 * million


def test_a_long_column_name_is_split_in_linear_time():
    million, four_millions = (cpu_s(Block("table", "a" * size + "\nvalue")) for size in (1_000_000, 4_000_000))

    assert four_millions < 8 * million
