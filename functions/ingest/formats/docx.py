"""Word documents (DOCX)."""

from collections.abc import Iterator
from io import BytesIO
from xml.parsers.expat import ExpatError
from zipfile import BadZipFile

from functions.ingest.block import Block
from functions.ingest.errors import Corrupt
from functions.ingest.formats import html


def read(content: bytes) -> Iterator[Block]:
    """Yield the blocks of a document, without its images. Raises Corrupt."""
    import mammoth

    try:
        converted = mammoth.convert_to_html(BytesIO(content), convert_image=mammoth.images.img_element(lambda _: {"src": ""}))
    except (BadZipFile, ExpatError, KeyError, ValueError, AttributeError) as exc:
        raise Corrupt("not a Word document") from exc
    yield from html.read(converted.value)
