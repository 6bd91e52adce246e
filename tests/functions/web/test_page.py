"""The web page's files: their encodings, caching and policy."""

import gzip

import pytest

from functions.web.files import load_page
from tests.support.api_gateway import rest_event

SCRIPT = b"console.log('hello')"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)


@pytest.fixture
def page(web, tmp_path, monkeypatch):
    """The web function with a small built page."""
    from functions.web.app import app

    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "main-ABC.js").write_bytes(SCRIPT)
    (tmp_path / "main-ABC.js.br").write_bytes(b"compressed by Brotli")
    (tmp_path / "main-ABC.js.gz").write_bytes(gzip.compress(SCRIPT))
    monkeypatch.setitem(app._app.state._state, "page", load_page(tmp_path))
    return web


def script(page, **headers):
    return page.get("/assets/main-ABC.js", headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("br;q=0, gzip;q=0.5", "gzip"), ("identity", None), ("", None)],
)
def test_a_file_is_sent_in_an_encoding_that_the_client_accepts(page, accepted, encoding):
    answer = script(page, Accept_Encoding=accepted)

    assert (answer.status, answer.headers.get("content-encoding"), answer.headers["vary"]) == (200, encoding, "Accept-Encoding")


def test_the_bytes_of_a_compressed_file_arrive_unchanged(page):
    assert gzip.decompress(script(page, Accept_Encoding="gzip").body) == SCRIPT
    assert script(page).body == SCRIPT


def test_hashed_files_never_expire_and_the_document_is_checked_each_time(page):
    assert script(page).headers["cache-control"] == "public, max-age=31536000, immutable"
    assert page.get("/").headers["cache-control"] == "no-cache"


def test_a_current_copy_of_the_document_is_not_sent_again(page):
    assert page.get("/", headers={"If-None-Match": page.get("/").headers["etag"]}).status == 304


@pytest.mark.parametrize("path", ["/", "/assets/main-ABC.js"])
def test_the_page_runs_and_loads_nothing_but_its_own_files(page, path):
    headers = page.get(path).headers

    assert (headers["content-security-policy"], headers["x-content-type-options"]) == (POLICY, "nosniff")


def test_only_a_deployment_that_sends_documents_to_a_store_allows_requests_to_it(tmp_path):
    (tmp_path / "index.html").write_text("<!doctype html>")
    store = ["https://b.s3.eu-west-1.amazonaws.com", "https://b.s3.amazonaws.com"]
    policy = load_page(tmp_path, upload_origins=store)["index.html"].headers["Content-Security-Policy"]

    assert policy == POLICY.replace("connect-src 'self'", f"connect-src 'self' {' '.join(store)}")


@pytest.mark.parametrize("name", ["main-OLD.js", "..%2Fapp.py", "index.html.br", "main-ABC.js.br"])
def test_other_files_do_not_exist(page, name):
    answer = page.get(f"/assets/{name}")

    assert (answer.status, answer.json["code"]) == (404, "not_found")


def test_a_stage_without_a_slash_leads_to_the_page(page):
    event = rest_event("GET", "/", None, as_=None, headers={})
    event["requestContext"]["path"] = "/prod"
    answer = page.invoke(event)

    assert (answer.status, answer.headers["location"]) == (308, "/prod/")


def test_a_page_that_is_not_built_says_how_to_build_it(web, tmp_path, monkeypatch):
    from functions.web.app import app

    monkeypatch.setitem(app._app.state._state, "page", load_page(tmp_path))
    answer = web.get("/")

    assert (answer.status, answer.json["code"]) == (503, "page_not_built")
    assert "make page" in answer.json["detail"]
