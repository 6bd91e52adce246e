"""Documents as the API returns them."""

from tests.cli import replies

DOCUMENT_ID, OTHER_ID = "0190a1b2-0000-7000-8000-00000000aaaa", "0190a1b2-0000-7000-8000-00001111bbbb"
READY = {
    "id": DOCUMENT_ID,
    "title": "Handbook",
    "filename": "handbook.pdf",
    "content_type": "application/pdf",
    "bytes": 1_234_567,
    "status": "ready",
    "progress": 1.0,
    "chunks": 12,
    "error": None,
    "error_code": None,
    "note": None,
    "shared": False,
    "is_own": True,
    "created_at": "2026-11-01T14:02:33Z",
}
QUEUED = READY | {"status": "queued", "progress": 0.0, "chunks": 0}
HALF = QUEUED | {"status": "processing", "progress": 0.5}
FAILED = QUEUED | {"status": "failed", "error_code": "scanned", "error": "The pages are pictures without text."}


def documents_page(*items):
    return replies.reply(200, {"items": list(items), "next_cursor": None})
