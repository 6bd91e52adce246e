"""Detects a file's format from its content. The file's name only distinguishes kinds of text, such as Markdown and code."""

import json
import re
from io import BytesIO
from itertools import islice
from pathlib import PurePath
from typing import Literal
from zipfile import BadZipFile, ZipFile

from functions.ingest.errors import Corrupt, DocumentTooLarge, EmptyFile, Encrypted, Unsupported
from parley.file_type import DOCX_MAIN_PART, detect_container, has_utf16_mark

type Format = Literal["pdf", "docx", "html", "markdown", "csv", "json", "code", "text"]

# A book of a thousand pages takes about 20 MB.
MAX_XML_BYTES = 50 * 1024 * 1024
_ENCRYPTED_PART = "EncryptedPackage".encode("utf-16-le")
_CHARSET_SAMPLE_WORDS, _CHARSET_SAMPLE_BYTES = 5_000, 1 << 16
_LETTERS_PER_ERROR = 4
# Possessive quantifiers and the atomic group prevent backtracking: a text may begin with thousands of comments.
_HTML = re.compile(r"\s*+(<\?xml[^>]*+>\s*+)?+((?><!--.*?-->)\s*+)*+<(!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
_MARKDOWN = re.compile(r"^(#{1,6} \S|```|[ \t]*[-*] \[[ x]\] )", re.MULTILINE)
_FORMAT_OF_SUFFIX: dict[str, Format] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".csv": "csv",
    ".tsv": "csv",
    ".htm": "html",
    ".html": "html",
}
_CODE_SUFFIX = re.compile(
    r"\.(py|[mc]?js|tsx?|jsx|java|kts?|scala|go|rs|[ch]|cc|[ch]pp|cs|rb|php|swift|sh|bash|ps1|sql|r|lua|pl|exs?|hs"
    r"|toml|ya?ml|ini|tf|s?css|vue|svelte|proto|graphql)$"
)


def detect_format(content: bytes, name: str) -> Format:
    """Return the format of a file. Raises EmptyFile, Encrypted, Corrupt, DocumentTooLarge and Unsupported."""
    if not content.strip(b"\0 \t\r\n"):
        raise EmptyFile(name)
    match detect_container(content):
        case "pdf":
            return "pdf"
        case "ole":
            raise Encrypted(name) if _ENCRYPTED_PART in content else Unsupported(name)
        case "zip":
            return _zip_format(content, name)
    return _text_format(decode_text(content, name), name)


def decode_text(content: bytes, name: str) -> str:
    """Decode a text file: UTF-8, UTF-16 with a byte order mark, UTF-8 with a few errors, else the most likely charset.

    Raises Unsupported for binary content.
    """
    from charset_normalizer import from_bytes

    for encoding in ("utf-8-sig", *(("utf-16",) if has_utf16_mark(content) else ())):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text
    if b"\0" in content:
        raise Unsupported(name)
    if (nearly_utf8 := _nearly_utf8(content)) is not None:
        return nearly_utf8
    guess = from_bytes(_charset_sample(content)).best()
    if guess is None:
        raise Unsupported(name)
    return content.decode(guess.encoding, "replace")


def _nearly_utf8(content: bytes) -> str | None:
    """Decode UTF-8 with errors, such as a file that breaks off in a letter. Return None if it is more likely in another charset.

    Letters of other charsets are hardly ever valid UTF-8.
    """
    text = content.decode("utf-8-sig", "replace")
    errors = text.count("\N{REPLACEMENT CHARACTER}") - content.count("\N{REPLACEMENT CHARACTER}".encode())
    letters = sum(not character.isascii() for character in text) - errors
    return text if letters >= errors * _LETTERS_PER_ERROR else None


def _charset_sample(content: bytes) -> bytes:
    """Return the first words that have a byte outside ASCII. Only these tell the charset; the others would mislead the guess."""
    words = (match[0] for match in re.finditer(rb"\S+", content) if not match[0].isascii())
    return b" ".join(islice(words, _CHARSET_SAMPLE_WORDS))[:_CHARSET_SAMPLE_BYTES]


def _zip_format(content: bytes, name: str) -> Format:
    try:
        with ZipFile(BytesIO(content)) as archive:
            sizes = {part.filename: part.file_size for part in archive.infolist()}
    except BadZipFile as exc:
        raise Corrupt(name) from exc
    if sizes.get(DOCX_MAIN_PART, 0) > MAX_XML_BYTES:
        raise DocumentTooLarge(name)
    if DOCX_MAIN_PART in sizes:
        return "docx"
    raise Unsupported(name)


def _text_format(text: str, name: str) -> Format:
    suffix = PurePath(name).suffix.lower()
    if _HTML.match(text):
        return "html"
    if text.lstrip()[:1] in "{[" and _is_json(text):
        return "json"
    if suffix in _FORMAT_OF_SUFFIX:
        return _FORMAT_OF_SUFFIX[suffix]
    if _CODE_SUFFIX.search(suffix) or text.startswith("#!"):
        return "code"
    return "markdown" if _MARKDOWN.search(text) else "text"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
