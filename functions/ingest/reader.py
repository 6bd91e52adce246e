"""The child process that reads one file: it has no key, needs no network, and has little memory and little time.

Run as `python -m functions.ingest.reader FILE NAME SECONDS`, the seconds being what it may compute. Writes a JSON
array for each block, a line each, and last `{"end": null}` or `{"end": "<code>"}` of why it could not go on.
"""

import json
import re
import resource
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from functions.ingest.block import Block
from functions.ingest.detecting import decoded, detect
from functions.ingest.errors import Corrupt, Empty, TooLarge, Unreadable

MEMORY_BYTES = 400 * 1024 * 1024
# About 5,000 pages.
MOST_CHARACTERS = 20_000_000
# By PostgreSQL, and as UTF-8: NUL and half a surrogate pair.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def read(path: str, name: str) -> Iterator[Block]:
    """Yield the blocks of a file, whatever its format. Raises Unreadable or a kind of it."""
    said = 0
    for block in _blocks(path, name):
        said += len(block.text)
        if said > MOST_CHARACTERS:
            raise TooLarge(f"more than {MOST_CHARACTERS} characters")
        yield replace(block, text=_UNSTORABLE.sub("\ufffd", block.text))
    if not said:
        raise Empty(name)


def _blocks(path: str, name: str) -> Iterator[Block]:
    """Read by the format. Each of the readers is imported only where it is needed."""
    from functions.ingest.formats import code, csv, docx, html, markdown, pdf, text
    from functions.ingest.formats.json import read

    content = Path(path).read_bytes()
    match detect(content, name):
        case "pdf":
            del content  # PDFium reads the file as it goes
            return pdf.read(path)
        case "docx":
            return docx.read(content)
        case "html":
            return html.read(decoded(content, name))
        case "markdown":
            return markdown.read(decoded(content, name))
        case "csv":
            return csv.read(decoded(content, name))
        case "json":
            return read(decoded(content, name))
        case "code":
            return code.read(decoded(content, name))
        case "text":
            return text.read(decoded(content, name))


def _bounded(cpu_s: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def main(path: str, name: str) -> str | None:
    """Write the blocks and return the code of what was wrong, if anything was."""
    try:
        for block in read(path, name):
            sys.stdout.write(json.dumps([block.kind, block.text, block.level, block.page]) + "\n")
    except Unreadable as exc:
        return exc.code
    except MemoryError:
        return TooLarge.code
    except RecursionError:
        return Corrupt.code
    return None


if __name__ == "__main__":
    _bounded(int(sys.argv[3]))
    end = main(*sys.argv[1:3])
    sys.stdout.write(json.dumps({"end": end}) + "\n")
