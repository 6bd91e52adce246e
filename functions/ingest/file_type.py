"""The format of a file, by its content. The name only distinguishes kinds of text."""

import json
import re
from io import BytesIO
from pathlib import PurePath
from typing import Literal
from zipfile import BadZipFile, ZipFile

from functions.ingest.errors import Corrupt, DocumentTooLarge, EmptyFile, Encrypted, Unsupported

type Format = Literal["pdf", "docx", "html", "markdown", "csv", "json", "code", "text"]

# Readers look for the mark of a PDF this far in: https://www.pdfa.org/resource/iso-32000-2/, annex on conformance.
_PDF_WITHIN = 1024
# A book of a thousand pages takes some 20 MB.
MAX_XML_BYTES = 50 * 1024 * 1024
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Nothing is gone back over: of comments without a page behind them there may be thousands.
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
    """Return the format of a file. Raises Empty, Encrypted, Corrupt, TooLarge and Unsupported."""
    if not content.strip(b"\0 \t\r\n"):
        raise EmptyFile(name)
    if b"%PDF-" in content[:_PDF_WITHIN]:
        return "pdf"
    if content.startswith(_OLE):
        # An encrypted DOCX is an old container around the cipher; so are the formats of before 2007.
        raise Encrypted(name) if "EncryptedPackage".encode("utf-16-le") in content else Unsupported(name)
    if content.startswith(b"PK\x03\x04"):
        return _zip_format(content, name)
    return _text_format(decode_text(content, name), name)


def decode_text(content: bytes, name: str) -> str:
    """Return a text file's text. Raises Unsupported for what is none."""
    from charset_normalizer import from_bytes

    for encoding in ("utf-8-sig", *(("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ())):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text
    found = None if b"\0" in content else from_bytes(content[: 1 << 16]).best()
    if found is None:
        raise Unsupported(name)
    return content.decode(found.encoding, "replace")


def _zip_format(content: bytes, name: str) -> Format:
    try:
        with ZipFile(BytesIO(content)) as archive:
            parts = {part.filename: part.file_size for part in archive.infolist()}
    except BadZipFile as exc:
        raise Corrupt(name) from exc
    if parts.get("word/document.xml", 0) > MAX_XML_BYTES:
        raise DocumentTooLarge(name)
    if "word/document.xml" in parts:
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
