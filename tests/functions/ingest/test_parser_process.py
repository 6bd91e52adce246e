"""The process in which an untrusted file is parsed."""

from functions.ingest.sandbox import read_blocks


def test_the_parser_process_has_the_memory_for_an_ordinary_file(tmp_path):
    file = tmp_path / "notes.md"
    file.write_text("# Leave\n\nThirty days a year.\n")

    assert [block.text for block in read_blocks(str(file), "notes.md", cpu_s=5)] == ["Leave", "Thirty days a year."]
