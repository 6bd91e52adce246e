"""Workers are killed at random moments, and the document is still complete."""

import hashlib
import random
from uuid import UUID

import pytest

from functions.ingest.chunker import Chunker
from functions.ingest.sandbox import read_blocks
from tests.conftest import ROOT
from tests.functions.ingest.killed_worker import start_worker
from tests.support import document_files
from tests.support.builders import upload_document

KILLS = 10
WITH_VECTORS = {"PARLEY_MODELS_FILE": str(ROOT / "tests" / "models_with_vectors.toml")}


@pytest.fixture
def pages():
    return document_files.pdf([f"Rule {number}: " + f"whoever comes {number} days late waits. " * 20 for number in range(1, 301)])


@pytest.mark.timeout(120)
def test_ten_killed_workers_leave_one_whole_index(documents, environment, postgres, tmp_path, pages, alice):
    chance, path = random.Random(9), tmp_path / "rules.pdf"
    path.write_bytes(pages)
    document_id = upload_document(documents, alice, pages, filename="rules.pdf").json["id"]
    arguments = (str(path), hashlib.sha256(pages).digest(), alice.id, UUID(document_id), environment | WITH_VECTORS)
    for _ in range(KILLS):
        worker = start_worker(*arguments)
        worker.join(chance.uniform(0.1, 1.2))
        worker.kill(), worker.join()
        # The third attempt in a row without progress would fail the document, and kills this early may all prevent progress.
        values = "leased_until = now() - interval '1 s', failures = least(failures, 2)"
        postgres.execute(f"UPDATE documents SET {values} WHERE id = '{document_id}'")
    last = start_worker(*arguments)
    last.join()

    assert last.exitcode == 0
    stored = postgres.execute(f"SELECT number, text, embedding IS NOT NULL FROM chunks WHERE document_id = '{document_id}' ORDER BY number")
    assert stored == [(chunk.number, chunk.text, True) for chunk in Chunker().chunks_of(read_blocks(str(path), "rules.pdf"))]
    assert documents.get(f"/documents/{document_id}", as_=alice).json["status"] == "ready"
