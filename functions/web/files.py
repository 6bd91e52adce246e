"""Static files of the API description. `make openapi` writes them into this folder."""

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response

MEDIA_TYPES = {".json": "application/json", ".html": "text/html; charset=utf-8"}
MAX_AGE_S = 300  # how long clients may see the description of the previous deployment


@dataclass(frozen=True, slots=True)
class File:
    """A file's content and its response headers."""

    content: bytes
    headers: dict[str, str]

    def response(self, if_none_match: str | None = None) -> Response:
        """Return the file, or 304 if `If-None-Match` names its current ETag (RFC 9110, 13.1.2)."""
        tags = (tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(","))
        if self.headers["ETag"] in tags:
            return Response(status_code=304, headers=self.headers)
        return Response(self.content, headers=self.headers)


def load(name: str) -> File:
    """Read a file of this folder and compute its headers."""
    content = Path(__file__).with_name(name).read_bytes()
    headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"', "Cache-Control": f"public, max-age={MAX_AGE_S}"}
    headers |= {"Content-Type": MEDIA_TYPES[Path(name).suffix], "Content-Security-Policy": _policy(content)}
    return File(content, headers | {"Referrer-Policy": "no-referrer"})


def _policy(content: bytes) -> str:
    """Return a Content-Security-Policy that allows only the page's own style sheets: no scripts, frames or requests."""
    sheets = re.findall(rb"<style>(.*?)</style>", content, re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(sheet).digest()).decode()}'" for sheet in sheets]
    styles = f"style-src {' '.join(hashes)}; " if hashes else ""
    return f"default-src 'none'; {styles}base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
