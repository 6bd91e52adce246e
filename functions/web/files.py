"""Static files: the API description, which `make openapi` writes, and the web page, which `make page` builds."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response

from parley.errors import NotFound, ParleyError

ASSETS = Path(__file__).with_name("assets")
DOCUMENT = "index.html"
MEDIA_TYPES = {
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}
MAX_AGE_S = 300  # how long clients may see the description of the previous deployment
ENCODINGS = {"br": ".br", "gzip": ".gz"}
# The page loads nothing from other hosts and writes HTML only through a Trusted Types policy. It sends nothing to other hosts either,
# unless large documents may go directly to the bucket (docs/adr/0038).
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src {connect}; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
# A hashed name never gets other content, so browsers may keep the file without asking again.
IMMUTABLE = "public, max-age=31536000, immutable"


class PageNotBuilt(ParleyError):
    """The web page has not been built."""

    status, code = 503, "page_not_built"
    public_message = "The web page is not built. Run `make page`."


@dataclass(frozen=True, slots=True)
class File:
    """A file's content and its response headers. `compressed` holds the content in other encodings, smallest first."""

    content: bytes
    headers: dict[str, str]
    compressed: Mapping[str, bytes]

    def response(self, if_none_match: str | None = None, *, accept_encoding: str | None = None) -> Response:
        """Return the file in the first encoding that the client accepts, or 304 if `If-None-Match` names its current ETag.

        See RFC 9110, 12.5.3 and 13.1.2.
        """
        tags = (tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(","))
        if self.headers["ETag"] in tags:
            return Response(status_code=304, headers=self.headers)
        accepted = _accepted_encodings(accept_encoding)
        encoding = next((encoding for encoding in self.compressed if encoding in accepted), None)
        if encoding is None:
            return Response(self.content, headers=self.headers)
        return Response(self.compressed[encoding], headers=self.headers | {"Content-Encoding": encoding})


def load(name: str) -> File:
    """Read a file of the API description and compute its headers."""
    content = Path(__file__).with_name(name).read_bytes()
    headers = {"Cache-Control": f"public, max-age={MAX_AGE_S}", "Content-Security-Policy": _description_policy(content)}
    return _file(content, name, headers, compressed={})


def load_page(folder: Path = ASSETS, *, upload_origins: Sequence[str] = ()) -> dict[str, File]:
    """Read the built page: its document and its hashed files, by name. The result is empty if the page is not built.

    The page's policy allows requests to its own origin and to `upload_origins`.
    """
    paths = [path for path in sorted(folder.glob("*")) if path.suffix in MEDIA_TYPES]
    policy = PAGE_POLICY.format(connect=" ".join(["'self'", *upload_origins]))
    return {path.name: _page_file(path, policy) for path in paths}


def page_file(page: Mapping[str, File], name: str) -> File:
    """Return a file of the page. Raises PageNotBuilt, or NotFound for an unknown name, such as one of an earlier build."""
    if not page:
        raise PageNotBuilt()
    if name not in page:
        raise NotFound("asset", name)
    return page[name]


def _page_file(path: Path, policy: str) -> File:
    compressed = {name: path.with_name(path.name + suffix) for name, suffix in ENCODINGS.items()}
    headers = {"Cache-Control": "no-cache" if path.name == DOCUMENT else IMMUTABLE, "Vary": "Accept-Encoding"}
    headers |= {"Content-Security-Policy": policy, "Cross-Origin-Opener-Policy": "same-origin"}
    contents = {name: stored.read_bytes() for name, stored in compressed.items() if stored.is_file()}
    return _file(path.read_bytes(), path.name, headers, compressed=contents)


def _file(content: bytes, name: str, headers: dict[str, str], *, compressed: Mapping[str, bytes]) -> File:
    tag = {"ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"', "Content-Type": MEDIA_TYPES[Path(name).suffix]}
    return File(content, headers | tag | {"Referrer-Policy": "no-referrer"}, compressed)


def _accepted_encodings(header: str | None) -> set[str]:
    """Return the encodings that an Accept-Encoding header accepts by name: those without a weight of zero."""
    choices = [choice.replace(" ", "").lower().partition(";q=") for choice in (header or "").split(",")]
    return {name for name, _, weight in choices if not weight or weight.strip("0.")}


def _description_policy(content: bytes) -> str:
    """Return a Content-Security-Policy that allows only the page's own style sheets: no scripts, frames or requests."""
    sheets = re.findall(rb"<style>(.*?)</style>", content, re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(sheet).digest()).decode()}'" for sheet in sheets]
    styles = f"style-src {' '.join(hashes)}; " if hashes else ""
    return f"default-src 'none'; {styles}base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
