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
        status, body = {
            "/app.json": (200, json.dumps(DOCUMENT)),
            "/moved.json": (302, ""),
            "/page": (200, "<html>"),
            "/long.json": (200, json.dumps("x" * 20_000)),
        }.get(self.path, (404, "{}"))
        self.send_response(status)
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


def test_a_document_is_returned_with_its_last_address(site):
    allowed = [urlsplit(site).netloc]
    direct, moved = (fetch(f"{site}/{name}.json", allowed=allowed) for name in ("app", "moved"))

    assert direct == {"status": 200, "url": f"{site}/app.json", "document": DOCUMENT}
    assert moved == direct


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("missing.json", {"status": 404, "document": None}),
        ("page", {"error": "The response is not JSON."}),
        ("long.json", {"error": "The response is larger than 0.016384 MB."}),
    ],
)
def test_anything_else_is_not_returned(site, path, expected):
    found = fetch(f"{site}/{path}", allowed=[urlsplit(site).netloc])

    assert {name: found.get(name) for name in expected} == expected


def test_a_private_address_is_not_fetched(site):
    assert fetch(f"{site}/app.json") == {"error": "This address is not on the public internet."}
