"""Chunks of documents: which document lacks vectors, and how they are read."""

import pytest

from parley.db import chunks, unfinished_documents
from parley.db.chunks import NewChunk
from parley.db.vectors import Vector
from tests.shared.db.test_document_queue import queue as queue

VECTOR = Vector("m", [0.3, 0.8])


@pytest.fixture
def document(queue):
    """A document with three chunks, of which the first has a vector and the last a description."""
    id = queue.add()
    chunks.add(queue.connection, id, [NewChunk(number, "", f"{number}", None, 0, 1) for number in range(3)], **queue.user, is_shared=False)
    chunks.put_vectors(queue.connection, id, {0: VECTOR}, **queue.user)
    chunks.set_description(queue.connection, id, 2, "About herons.", **queue.user)
    return id


def test_only_a_document_that_lacks_a_vector_itself_is_found_for_it(queue, alice):
    whole, lacking, unfinished = queue.add(status="'ready'"), queue.add(status="'ready'"), queue.add()
    for id in (whole, lacking, unfinished):
        chunks.add(
            queue.connection, id, [NewChunk(number, "", "Herons nest.", None, 0, 2) for number in (0, 1)], **queue.user, is_shared=False
        )
    chunks.put_vectors(queue.connection, whole, {0: VECTOR, 1: VECTOR}, **queue.user)
    chunks.put_vectors(queue.connection, lacking, {0: VECTOR}, **queue.user)
    pages = [
        unfinished_documents.find_without_vectors(queue.connection, model="m", limit=100, after=after)
        for after in (None, (alice.id, lacking))
    ]

    assert [[id for user_id, id in page if user_id == alice.id] for page in pages] == [[lacking], []]


def test_the_chunks_of_a_document_are_read_on_after_a_number(queue, alice):
    id = queue.add()
    chunks.add(queue.connection, id, [NewChunk(number, "", f"{number}", None, 0, 1) for number in range(4)], **queue.user, is_shared=False)
    pages = [chunks.page(queue.connection, id, owner_id=alice.id, limit=2, after=after) for after in (None, 1, 3)]

    assert [[chunk.number for chunk in page] for page in pages] == [[0, 1], [2, 3], []]


def test_a_chunk_with_a_description_or_a_vector_of_the_model_gets_no_description(queue, document):
    found = [chunks.without_description(queue.connection, document, **queue.user, model=model, limit=9) for model in ("m", "other", None)]

    assert [[chunk.number for chunk in each] for each in found] == [[1], [0, 1], [0, 1]]


def test_a_document_is_described_as_soon_as_all_its_chunks_are(queue, document):
    shown = []
    for number in (0, 1):
        chunks.set_description(queue.connection, document, number, "", **queue.user)
        shown.append(chunks.are_all_described(queue.connection, document, **queue.user))

    assert shown == [False, True]


def test_only_a_chunk_without_a_description_has_an_undescribed_vector(queue, document):
    def has_undescribed_vectors():
        return chunks.has_undescribed_vectors(queue.connection, document, **queue.user, model="m")

    before = has_undescribed_vectors()
    chunks.set_description(queue.connection, document, 0, "About herons.", **queue.user)

    assert (before, has_undescribed_vectors()) == (True, False)
