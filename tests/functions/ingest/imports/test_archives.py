"""The ZIP file of an import: Python reads its list of files only if it is short, and its images only as far as they are allowed."""

import struct
import zipfile

import pytest

from functions.ingest.imports import archive
from functions.ingest.imports.archive import Archive
from functions.ingest.imports.errors import ExportTooLarge
from tests.fakes.chat_exports import chatgpt_trip, zipped

END_BYTES = 22
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("comment_bytes", [0, 65_535])
def test_a_list_of_files_with_64_bit_numbers_is_not_read_whatever_comment_follows_it(stored, comment_bytes):
    content = zipped([chatgpt_trip()])
    files, end = content[:-END_BYTES], content[-END_BYTES:-2] + struct.pack("<H", comment_bytes) + b"-" * comment_bytes
    with Archive.opened(stored(files + end)) as opened:
        assert opened.document_names() == ["conversations.json"]

    with pytest.raises(ExportTooLarge), Archive.opened(stored(files + struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1) + end)):
        pass


@pytest.mark.parametrize(("spare", "is_read"), [(0, True), (-1, False)])
def test_a_list_of_files_may_be_as_long_as_allowed_and_no_longer(stored, monkeypatch, spare, is_read):
    content = zipped([chatgpt_trip()])
    (size,) = struct.unpack("<L", content[12 - END_BYTES : 16 - END_BYTES])
    monkeypatch.setattr(archive, "MAX_DIRECTORY_BYTES", size + spare)
    if is_read:
        with Archive.opened(stored(content)) as opened:
            assert opened.document_names() == ["conversations.json"]
    else:
        with pytest.raises(ExportTooLarge), Archive.opened(stored(content)):
            pass


@pytest.mark.parametrize(("limit", "is_kept"), [(8, True), (7, False)])
def test_an_image_of_an_archive_may_be_as_large_as_allowed_and_no_larger(tmp_path, monkeypatch, limit, is_kept):
    monkeypatch.setattr(archive, "MAX_IMAGE_BYTES", limit)
    with zipfile.ZipFile(path := tmp_path / "export.zip", "w") as file:
        file.writestr("file-Ab12-photo.png", PNG)
    with Archive.opened(str(path)) as opened:
        image = opened.image("file-service://file-Ab12")

    assert (image and image.content) == (PNG if is_kept else None)
