"""What a tool gave, as text of bounded size."""

import json
from typing import Any

from pydantic import BaseModel

LIMIT_BYTES = 64 * 1024
_NOTE = "\n[The rest was cut: a tool's output may have 64 KiB.]"


class Unwritable(Exception):
    """It is neither text nor JSON."""


def as_text(output: Any) -> str:
    """Return text as it is and anything else as JSON, cut to 64 KiB with a note. Raises Unwritable for what is neither."""
    if isinstance(output, BaseModel):
        output = output.model_dump(mode="json")
    if isinstance(output, str):
        return cut(output)
    try:
        return cut(json.dumps(output, ensure_ascii=False, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as exc:
        raise Unwritable(f"{type(output).__name__} is neither text nor JSON") from exc


def cut(text: str, *, limit: int = LIMIT_BYTES) -> str:
    """Return text that can be written and stored, `limit` bytes of UTF-8 at most."""
    written = text[: limit + 1].replace("\0", "").encode("utf-8", "replace")
    if len(written) <= limit and len(text) <= limit:
        return written.decode()
    return written[: limit - len(_NOTE)].decode("utf-8", "ignore") + _NOTE
