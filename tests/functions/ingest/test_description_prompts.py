"""The prompt of a description: how much of the headings, of the neighbouring chunks and of the chunk itself it has."""

import pytest

from functions.ingest import chunk_context
from functions.ingest.chunk_context import DESCRIBE_PROMPT
from functions.ingest.lease import LEASE_S
from parley.llm.prompts import read_chunk_prompt
from parley.llm.tokens import estimate_tokens
from tests.functions.ingest.descriptions import MODELS, DescribingProvider

SMALL_MODELS = MODELS.replace("8000", "2000")
# Beside the instructions, the small model has room for an answer of 500 tokens and a chunk of 800.
ROOM = 2000 - 500 - 800 - estimate_tokens(DESCRIBE_PROMPT)


@pytest.fixture
def sections(read):
    """Three sections of one chunk each, below long headings, whose document is too long for the model; return the prompts."""
    read(
        writer := DescribingProvider(),
        content="\n\n".join(f"# {f'{number}' * 190}\n\n" + f"word{number} " * 195 for number in range(6)),
        models=SMALL_MODELS,
    )
    return writer.requests


def test_the_headings_of_a_long_document_take_half_of_the_room(sections):
    excerpt = sections[0].system.partition("<document>\n")[2].removesuffix("\n</document>")

    assert ROOM // 2 * 4 / 5 < estimate_tokens(excerpt) <= ROOM // 2


def test_each_neighbouring_chunk_takes_a_quarter_of_the_room(sections):
    asked = [request.messages[-1].text for request in sections]

    for neighbour in (2, 4):
        assert ROOM // 5 < len("word0 ") * asked[3].count(f"word{neighbour}") / 3 + 5 <= ROOM // 4
    assert [("Text before" in text, "Text after" in text) for text in (asked[0], asked[1], asked[5])] == [
        (False, True),
        (True, True),
        (True, False),
    ]


def test_a_long_heading_path_is_cut_and_the_text_of_the_chunk_is_not(read):
    headings = "\n\n".join(f"{'#' * level} {f'{level}' * 200}" for level in range(1, 6))
    read(writer := DescribingProvider(), content=f"{headings}\n\n{'word ' * 230}")
    heading, text = read_chunk_prompt(writer.requests[0].messages[-1].text)

    assert 160 < estimate_tokens(heading) <= 200
    assert text.split() == ["word"] * 230


def test_a_call_for_a_description_ends_long_before_the_lease(read, monkeypatch):
    timeouts_s, complete = [], chunk_context.complete
    monkeypatch.setattr(
        chunk_context, "complete", lambda *args, timeout_s, **options: timeouts_s.append(timeout_s) or complete(*args, **options)
    )
    read(DescribingProvider(), content="Doors close at nine.")

    assert timeouts_s == [LEASE_S / 2]
