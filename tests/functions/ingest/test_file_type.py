"""Formats are detected by content, whatever the file is called."""

import pytest

from functions.ingest.errors import Corrupt, EmptyFile, Encrypted, Unsupported
from functions.ingest.file_type import decode_text, detect_format
from tests.support import document_files


@pytest.mark.parametrize(
    ("content", "name", "detected"),
    [
        (document_files.pdf(["Text"]), "report.txt", "pdf"),
        (document_files.docx(("", "Text")), "report.pdf", "docx"),
        (b"<!DOCTYPE html><p>Hi", "page.txt", "html"),
        (b'{"a": 1}', "data.txt", "json"),
        (b"# Title\n\nText", "notes", "markdown"),
        (b"Just text", "notes", "text"),
        (b"a,b\n1,2", "table.csv", "csv"),
        (b"x = 1", "script.py", "code"),
        (b"#!/bin/sh\nls", "script", "code"),
        ("Grüße".encode("latin-1") * 9, "letter", "text"),
        ("Text".encode("utf-16"), "letter", "text"),
        (b"[draft] Notes", "notes", "text"),
        (b"42", "notes", "text"),
    ],
)
def test_a_format_is_detected_by_content(content, name, detected):
    assert detect_format(content, name) == detected


@pytest.mark.timeout(20)
@pytest.mark.parametrize("beginning", [b"<!-- a -->" * 5_000, b"\n" * 200_000, b" " * 200_000, b"<!--" * 50_000])
def test_detecting_html_does_not_backtrack(beginning):
    assert detect_format(beginning + b"text", "notes") == "text"


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        (b" \n\0", EmptyFile),
        (b"\x89PNG\r\n\x1a\n\0\0", Unsupported),
        (document_files.zipped({"a.txt": "a"}), Unsupported),
        (b"PK\x03\x04 and no more", Corrupt),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 an old document", Unsupported),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), Encrypted),
    ],
)
def test_an_unreadable_file_is_refused_with_a_reason(content, refused):
    with pytest.raises(refused):
        detect_format(content, "file.txt")


def test_a_text_in_an_old_encoding_keeps_its_letters():
    assert decode_text(("Die Grüße aus Köln, schöne Tage. " * 5).encode("latin-1"), "letter").startswith("Die Grüße aus Köln")


@pytest.mark.parametrize("sentence", ["Die Grüße aus Köln, schöne Tage. ", "Пришлите документы. ", "天气很好。"])
@pytest.mark.parametrize(
    "error", [b"\xe9", "ü".encode()[:1], "好".encode()[:2]], ids=["old letter", "half a letter", "two thirds of a letter"]
)
def test_a_text_in_utf_8_with_an_error_keeps_its_other_letters(sentence, error):
    text = sentence * 3

    assert decode_text(text.encode() + error, "log.txt") == f"{text}\N{REPLACEMENT CHARACTER}"
    assert decode_text(error + b" " + text.encode(), "log.txt") == f"\N{REPLACEMENT CHARACTER} {text}"


@pytest.mark.parametrize(("letters", "decoded"), [(4, "éééé\N{REPLACEMENT CHARACTER}"), (3, None)])
def test_a_text_with_an_error_is_in_utf_8_if_four_letters_of_five_are(letters, decoded):
    read = decode_text("é".encode() * letters + b"\xe9", "log.txt")

    assert (read == decoded) is (decoded is not None)


def test_a_replacement_character_is_no_error():
    text = "caf\N{REPLACEMENT CHARACTER} " * 3 + "Grüße, schöne Tage, Äpfel"

    assert decode_text(text.encode() + b"\xe9", "log.txt") == f"{text}\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("encoding", "foreign"),
    [("latin-1", "Das Büro öffnet übermorgen für schöne Tage in Köln."), ("cp1251", "Пришлите, пожалуйста, документы до конца сентября.")],
    ids=["German", "Russian"],
)
@pytest.mark.parametrize("words", [200, 20_000])
def test_a_text_in_an_old_encoding_may_have_many_words_of_plain_english(encoding, foreign, words):
    text = f"{'office ' * words}\n{foreign}\n{'office ' * words}\n{foreign}"

    assert decode_text(text.encode(encoding), "letter") == text
