"""The child process that parses one untrusted file, started by `sandbox`.

Run as `python -m functions.ingest.parser_process FILE NAME SECONDS`, where NAME is the file's original name and SECONDS
limits the processor time. Further limits are `MEMORY_BYTES` of memory, no bytes written to files, and `MAX_CHARACTERS`
of text. The process has no credentials.

It writes one line `[kind, text, level, page]` for each block, and finally `{"end": null}`, or `{"end": "<code>"}` with the
code of the error that stopped it.
"""

import json
import re
import resource
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from functions.ingest.block import Block
from functions.ingest.errors import Corrupt, DocumentTooLarge, EmptyFile, Unreadable
from functions.ingest.file_type import decode_text, detect_format

MEMORY_BYTES = 400 * 1024 * 1024
# About 5,000 pages.
MAX_CHARACTERS = 20_000_000
# NUL, which PostgreSQL rejects, and lone surrogates, which UTF-8 cannot encode.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def parse_file(path: str, name: str) -> Iterator[Block]:
    """Yield the blocks of a file of any supported format. Raises Unreadable."""
    characters = 0
    for block in _parse_by_format(path, name):
        characters += len(block.text)
        if characters > MAX_CHARACTERS:
            raise DocumentTooLarge(f"more than {MAX_CHARACTERS} characters")
        yield replace(block, text=_UNSTORABLE.sub("\ufffd", block.text))
    if not characters:
        raise EmptyFile(name)


def _parse_by_format(path: str, name: str) -> Iterator[Block]:
    """Parse the file by its detected format. The format modules import their libraries when they are called."""
    from functions.ingest.formats import code, csv, docx, html, markdown, pdf, text
    from functions.ingest.formats.json import read

    content = Path(path).read_bytes()
    match detect_format(content, name):
        case "pdf":
            del content  # PDFium reads the file itself, page by page
            return pdf.read(path)
        case "docx":
            return docx.read(content)
        case "html":
            return html.read(decode_text(content, name))
        case "markdown":
            return markdown.read(decode_text(content, name))
        case "csv":
            return csv.read(decode_text(content, name))
        case "json":
            return read(decode_text(content, name))
        case "code":
            return code.read(decode_text(content, name))
        case "text":
            return text.read(decode_text(content, name))


def _limit_resources(cpu_s: int) -> None:
    """Limit this process; exceeding the processor time kills it, and exceeding the memory raises MemoryError."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def main(path: str, name: str) -> str | None:
    """Write the blocks to stdout and return the code of the error that stopped the parser, if any."""
    try:
        for block in parse_file(path, name):
            sys.stdout.write(json.dumps([block.kind, block.text, block.level, block.page]) + "\n")
    except Unreadable as exc:
        return exc.code
    except MemoryError:
        return DocumentTooLarge.code
    except RecursionError:
        return Corrupt.code
    return None


if __name__ == "__main__":
    _limit_resources(int(sys.argv[3]))
    end = main(*sys.argv[1:3])
    sys.stdout.write(json.dumps({"end": end}) + "\n")
