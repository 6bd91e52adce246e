"""What goes along with a question: images, and the JSON schema that its answer shall keep to."""

import base64
import json
import re
from collections.abc import Sequence
from pathlib import Path

import click

_TYPES = {
    "image/png": re.compile(rb"\x89PNG"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
}


def attachments(images: Sequence[Path], schema: Path | None) -> dict[str, object]:
    """Return the fields of the request. Raises UsageError for a file that is neither an image nor a JSON schema."""
    fields: dict[str, object] = {"images": [_data_url(image) for image in images]} if images else {}
    return fields | ({"response_format": _format(schema)} if schema else {})


def _data_url(path: Path) -> str:
    content = path.read_bytes()
    for media_type, beginning in _TYPES.items():
        if beginning.match(content):
            return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
    raise click.UsageError(f"{path} is neither PNG, JPEG, GIF nor WebP.")


def _format(path: Path) -> dict[str, object]:
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise click.UsageError(f"{path} is no JSON: {exc}") from exc
    if not isinstance(schema, dict):
        raise click.UsageError(f"{path} is no JSON schema: that is an object.")
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
