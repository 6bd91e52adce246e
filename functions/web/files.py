"""Files that are served as they lie here; `make openapi` writes them."""

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response

MEDIA_TYPES = {".json": "application/json", ".html": "text/html; charset=utf-8"}
MAX_AGE_S = 300  # a deployment shows after so long


@dataclass(frozen=True, slots=True)
class File:
    """A file's content with the headers it is answered with."""

    content: bytes
    headers: dict[str, str]

    def answer(self, if_none_match: str | None = None) -> Response:
        """Answer with the file, or with 304 where the caller has it already (RFC 9110, 13.1.2)."""
        if if_none_match and self.headers["ETag"] in re.split(r"\s*,\s*|W/", if_none_match.strip()):
            return Response(status_code=304, headers=self.headers)
        return Response(self.content, headers=self.headers)


def load(name: str) -> File:
    """Read a file of this folder."""
    content = Path(__file__).with_name(name).read_bytes()
    headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"', "Cache-Control": f"public, max-age={MAX_AGE_S}"}
    headers |= {"Content-Type": MEDIA_TYPES[Path(name).suffix], "Content-Security-Policy": _policy(content)}
    return File(content, headers | {"Referrer-Policy": "no-referrer"})


def _policy(content: bytes) -> str:
    """Allow the page its own style sheet and nothing else: no script, no frame, no request."""
    sheets = re.findall(rb"<style>(.*?)</style>", content, re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(sheet).digest()).decode()}'" for sheet in sheets]
    styles = f"style-src {' '.join(hashes)}; " if hashes else ""
    return f"default-src 'none'; {styles}base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
