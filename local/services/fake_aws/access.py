"""Access control of the AWS stand-in: programs with this run's credentials may call it, web pages may not.

As in S3, there are two exceptions: any page may link to a presigned URL, and a page of an allowed origin may send an
upload form.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape

from local.request_origin import was_sent_by_page
from local.services.fake_aws.request import WsgiApp
from local.services.fake_aws.signature import REMEDY, SignatureCheck, SignatureRefused, is_form, is_presigned, names_bucket

type StartResponse = Callable[..., Any]


class AccessGuard:
    """A WSGI middleware that refuses unsigned requests and web pages with 403, and removes every CORS header of moto."""

    def __init__(self, app: WsgiApp, check: SignatureCheck, *, hosts: Collection[str], upload_origins: Collection[str]) -> None:
        self._app = app
        self._signatures = check
        self._hosts = hosts
        self._upload_origins = upload_origins

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        is_upload = self._is_upload(environ)
        respond = _with_cors(start_response, environ["HTTP_ORIGIN"] if is_upload else None)
        if environ.get("HTTP_HOST", "").lower() not in self._hosts:
            return _refusal(environ, respond, "The Host header does not name this server.")
        if is_upload and environ["REQUEST_METHOD"] == "OPTIONS":
            respond("204 No Content", [])
            return []
        if not is_upload and was_sent_by_page(_headers(environ)) and not _is_link(environ):
            return _refusal(environ, respond, "Web pages may not call the AWS stand-in.")
        try:
            self._signatures.check(environ)
        except SignatureRefused as refused:
            return _refusal(environ, respond, str(refused))
        return self._app(environ, respond)

    def _is_upload(self, environ: Mapping[str, Any]) -> bool:
        """Return whether the request is an upload form from a page of an allowed origin, or the preflight for such a form."""
        if environ.get("HTTP_ORIGIN") not in self._upload_origins:
            return False
        is_preflight = environ["REQUEST_METHOD"] == "OPTIONS" and environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD") == "POST"
        return is_form(environ) or (is_preflight and names_bucket(environ))


def _is_link(environ: Mapping[str, Any]) -> bool:
    """Return whether the request follows a link to a presigned URL. A script's request would have an Origin header."""
    return environ["REQUEST_METHOD"] in ("GET", "HEAD") and is_presigned(environ) and "HTTP_ORIGIN" not in environ


def _headers(environ: Mapping[str, Any]) -> dict[str, str]:
    names = {"HTTP_ORIGIN": "origin", "HTTP_SEC_FETCH_SITE": "sec-fetch-site"}
    return {name: environ[key] for key, name in names.items() if key in environ}


def _with_cors(start_response: StartResponse, origin: str | None) -> StartResponse:
    """Return a start_response that removes the response's CORS headers and, unless `origin` is None, adds headers for `origin`."""

    def respond(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        others = [(name, value) for name, value in headers if not name.lower().startswith("access-control-")]
        allowed = {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Methods": "POST", "Vary": "Origin"} if origin else {}
        return start_response(status, [*others, *allowed.items()], *rest)

    return respond


def _refusal(environ: Mapping[str, Any], start_response: StartResponse, reason: str) -> list[bytes]:
    """Return a 403 in the service's format: JSON if the request has an X-Amz-Target header, else S3's XML."""
    message = f"{reason} {REMEDY}"
    if "HTTP_X_AMZ_TARGET" in environ:
        body, media_type = json.dumps({"__type": "AccessDeniedException", "message": message}), "application/x-amz-json-1.1"
    else:
        body, media_type = f"<Error><Code>AccessDenied</Code><Message>{escape(message)}</Message></Error>", "application/xml"
    start_response("403 Forbidden", [("Content-Type", media_type), ("Content-Length", str(len(body.encode())))])
    return [body.encode()]
