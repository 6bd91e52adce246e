"""Public JSON documents, fetched by the tool runner for functions that must not reach the internet themselves."""

import json
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

import pytest

from functions.toolrunner.execution import fetch_json
from functions.toolrunner.requests import parse_request
from parley.tools.guarded_http.client import GuardedHttp
from tests.fakes.http_server import serving

DOCUMENT = {"client_id": "https://client.example/app.json"}


class Site(BaseHTTPRequestHandler):
    """Serves the document, and some answers that are not one."""

    def do_GET(self):
        text, kind = json.dumps(DOCUMENT), "application/json"
        status, body, content_type = {
            "/app.json": (200, text, kind),
            "/typed.json": (200, text, "application/oauth-client+json; charset=utf-8"),
            "/moved.json": (302, "", kind),
            "/page": (200, "<html>", kind),
            "/text.json": (200, text, "text/plain"),
            "/untyped.json": (200, text, ""),
            "/app.pdf": (200, text, "application/pdf"),
            "/drawing.json": (200, text, "image/drawing+json"),
            "/long.json": (200, json.dumps("x" * 20_000), kind),
        }.get(self.path, (404, "{}", kind))
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Location", "/app.json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    with serving(Site) as url:
        yield url


def fetch(url, *, allowed=()):
    return fetch_json(parse_request({"op": "fetch_json", "url": url, "timeout_s": 5}), GuardedHttp(allowed))


@pytest.mark.parametrize("name", ["app", "typed"])
def test_a_document_is_returned_with_its_address(site, name):
    found = fetch(f"{site}/{name}.json", allowed=[urlsplit(site).netloc])

    assert found == {"status": 200, "url": f"{site}/{name}.json", "document": DOCUMENT}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("missing.json", {"status": 404, "document": None}),
        ("page", {"error": "The response is not JSON."}),
        ("text.json", {"error": "The server does not declare the document as JSON."}),
        ("untyped.json", {"error": "The server does not declare the document as JSON."}),
        ("app.pdf", {"error": "The server does not declare the document as JSON."}),
        ("drawing.json", {"error": "The server does not declare the document as JSON."}),
        ("moved.json", {"error": "The address redirects."}),
        ("long.json", {"error": "The response is larger than 0.016384 MB."}),
    ],
)
def test_anything_else_is_not_returned(site, path, expected):
    found = fetch(f"{site}/{path}", allowed=[urlsplit(site).netloc])

    assert {name: found.get(name) for name in expected} == expected


def test_a_private_address_is_not_fetched(site):
    assert fetch(f"{site}/app.json") == {"error": "This address is not on the public internet."}
