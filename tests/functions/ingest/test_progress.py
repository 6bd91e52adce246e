"""The progress that the owner of a document sees, in steps of a batch."""

import pytest

from functions.ingest import lease, pipeline
from tests.functions.ingest.descriptions import DescribingProvider
from tests.support.builders import upload_document

SECTIONS = "# A\n\nOne.\n\n# B\n\nTwo.\n\n# C\n\nThree."
SCRIPT = f"<html><script>{'x' * 9950}</script><p>Doors close at nine.</p>"


@pytest.fixture
def shown(monkeypatch):
    """The progress that workers report."""
    shown, report = [], lease.documents.report_progress

    def note(*args, progress, **options):
        shown.append(progress)
        return report(*args, progress=progress, **options)

    monkeypatch.setattr(lease.documents, "report_progress", note)
    return shown


@pytest.mark.parametrize(
    ("content", "filename", "stored"),
    [("Doors close at nine.", "a.txt", 1 / 2), (SECTIONS, "a.md", 3 / 4), (SCRIPT, "a.html", 1 / (len(SCRIPT) / 1000))],
    ids=["one chunk", "three chunks", "few chunks of many bytes"],
)
def test_stored_chunks_are_their_part_of_the_first_half(documents, ingest, alice, shown, content, filename, stored):
    ingest.read(alice, upload_document(documents, alice, content, filename=filename).json["id"])

    assert shown == pytest.approx([stored / 2, 1.0])


def test_embedded_chunks_are_their_part_of_the_second_half(documents, ingest, alice, shown, monkeypatch):
    monkeypatch.setattr(pipeline, "_EMBED_BATCH", 1)
    ingest.read(alice, upload_document(documents, alice, SECTIONS, filename="a.md").json["id"])

    assert shown[1:] == pytest.approx([1 / 2 + 1 / 6, 1 / 2 + 2 / 6, 1.0])


def test_64_chunks_are_stored_and_embedded_at_a_time(documents, ingest, alice, shown):
    content = "".join(f"# {number}\n\nOne.\n\n" for number in range(65))
    ingest.read(alice, upload_document(documents, alice, content, filename="a.md").json["id"])

    assert shown == pytest.approx([0.5 * 64 / 65, 0.5 * 65 / 66, 0.5 + 0.5 * 64 / 65, 1.0])


@pytest.mark.parametrize(("content", "described"), [("Doors close at nine.", [0.9]), (SECTIONS, [0.5 + 0.4 / 3, 0.5 + 0.8 / 3, 0.9])])
def test_descriptions_are_four_fifths_of_the_second_half(read, shown, content, described):
    read(DescribingProvider(), content=content)

    assert shown[1:-1] == pytest.approx(described)
