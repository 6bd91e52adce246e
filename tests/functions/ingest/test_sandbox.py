"""Untrusted files, parsed in a process that may die."""

import ctypes
import json
import sys
from contextlib import suppress
from types import SimpleNamespace

import pytest

from functions.ingest import sandbox
from functions.ingest.errors import Corrupt, DocumentTooLarge, EmptyFile, Unsupported
from functions.ingest.sandbox import ParserStopped, read_blocks
from parley.deadline import Deadline
from tests.support import document_files


def test_a_file_is_parsed_in_another_process(stored):
    assert [block.text for block in read_blocks(stored(b"One.\n\nTwo."), "notes.txt")] == ["One.", "Two."]


@pytest.mark.parametrize(
    ("content", "refused"), [(b"\x7fELF\0\0", Unsupported), (b"", EmptyFile), (b"<html><script>x</script></html>", EmptyFile)]
)
def test_the_parsers_error_crosses_the_process_boundary(stored, content, refused):
    with pytest.raises(refused):
        list(read_blocks(stored(content), "file"))


def test_the_parsers_environment_contains_no_credentials(stored, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    seen = {}
    monkeypatch.setattr("subprocess.Popen", lambda *_, env, **__: seen.update(env))

    with pytest.raises(AttributeError):
        list(read_blocks(stored(b"text"), "file"))

    assert set(seen) == {"PYTHONPATH", "PATH", "LC_ALL"}


def test_the_parser_starts_if_the_interpreter_needs_the_path_of_its_library(stored, monkeypatch, tmp_path):
    """As on Lambda, where it is /var/lang/lib; without it the loader ends the process with status 127."""
    interpreter = tmp_path / "python"
    interpreter.write_text(f'#!/bin/sh\n[ "$LD_LIBRARY_PATH" = "{tmp_path}" ] || exit 127\nexec "{sys.executable}" "$@"\n')
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))

    assert [block.text for block in read_blocks(stored(b"One."), "notes.txt")] == ["One."]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has it")
def test_the_parser_cannot_read_the_functions_memory(stored):
    """Ask the kernel instead of trying: root may read any process."""
    get_dumpable = 3
    list(read_blocks(stored(b"text"), "file"))

    assert ctypes.CDLL(None).prctl(get_dumpable, 0, 0, 0, 0) == 0


def test_a_zip_bomb_is_refused_in_bounded_memory(stored):
    bomb = document_files.zipped(
        {
            "word/document.xml": b"<w>" + b" " * (60 << 20) + b"</w>",
            "[Content_Types].xml": document_files.TYPES,
            "_rels/.rels": document_files.RELATIONS,
        }
    )

    with pytest.raises((DocumentTooLarge, Corrupt)):
        list(read_blocks(stored(bomb), "bomb.docx"))


def test_an_entity_bomb_is_refused(stored):
    levels = "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, 12))
    document = f'<w:document xmlns:w="{document_files.WORD}"><w:body>&e11;</w:body></w:document>'
    xml = f'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY e0 "boom">{levels}]>{document}'
    bomb = document_files.zipped(
        {"word/document.xml": xml, "[Content_Types].xml": document_files.TYPES, "_rels/.rels": document_files.RELATIONS}
    )

    with pytest.raises((DocumentTooLarge, Corrupt)):
        list(read_blocks(stored(bomb), "bomb.docx"))


@pytest.mark.parametrize("content", [b"[" * 200_000 + b"]" * 200_000, b"<div>" * 200_000 + b"deep", b"> " * 50_000 + b"deep"])
def test_endless_nesting_is_parsed_or_refused(stored, content):
    with suppress(DocumentTooLarge, Corrupt, EmptyFile):
        list(read_blocks(stored(content), "deep.md", cpu_s=2))


@pytest.mark.parametrize("deadline", [None, Deadline.after(3600)], ids=["without a deadline", "long before the deadline"])
def test_time_spent_by_the_caller_does_not_count_as_silence(stored, monkeypatch, deadline):
    now, seen = [0.0], []
    monkeypatch.setattr(sandbox, "_POLL_S", 0.001)
    monkeypatch.setattr(sandbox, "time", SimpleNamespace(monotonic=lambda: now[0]))
    for block in read_blocks(stored(b"\n\n".join([b"word " * 2000] * 200)), "notes.txt", deadline=deadline):
        seen.append(block.text)
        now[0] += 1000

    assert len(seen) == 200


def test_a_parser_that_hangs_is_killed(stored):
    with pytest.raises(DocumentTooLarge):
        list(read_blocks(stored(json.dumps("long").encode()), "file", silence_timeout_s=0.01))


@pytest.mark.parametrize(("limits", "stopped"), [({"deadline": 0.5}, ParserStopped), ({"silence_timeout_s": 0.5}, DocumentTooLarge)])
def test_a_parser_that_is_killed_in_the_middle_of_a_line_is_not_to_blame_for_the_line(stored, tmp_path, monkeypatch, limits, stopped):
    (tmp_path / "half_line.py").write_text("""import sys, time
sys.stdout.write('["paragraph", "whole", 0, null]\\n["paragraph", "hal')
sys.stdout.flush()
time.sleep(60)
""")
    command = [sys.executable, str(tmp_path / "half_line.py")]
    start = sandbox.subprocess.Popen
    monkeypatch.setattr(sandbox.subprocess, "Popen", lambda _, **options: start(command, **options))
    monkeypatch.setattr(sandbox, "_POLL_S", 0.01)
    if "deadline" in limits:
        limits = {"deadline": Deadline.after(limits["deadline"])}
    seen = []

    with pytest.raises(stopped):
        seen.extend(read_blocks(stored(b"text"), "notes.txt", **limits))
