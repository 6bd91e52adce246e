import base64
import hashlib
import re

import pytest

from parley import __version__

PATHS = ["/openapi.json", "/docs"]


@pytest.mark.parametrize(("path", "kind"), [("/openapi.json", "application/json"), ("/docs", "text/html; charset=utf-8")])
def test_the_description_is_public(web, path, kind):
    answer = web.get(path)

    assert (answer.status, answer.headers["content-type"]) == (200, kind)


def test_the_document_has_the_current_version(web):
    assert web.get("/openapi.json").json["info"]["version"] == __version__


@pytest.mark.parametrize("path", PATHS)
def test_a_current_copy_is_not_sent_again(web, path):
    first = web.get(path)
    again = web.get(path, headers={"If-None-Match": f'"older", W/{first.headers["etag"]}'})

    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])


@pytest.mark.parametrize("path", PATHS)
def test_a_stale_copy_is_replaced(web, path):
    assert web.get(path, headers={"If-None-Match": '"older"'}).status == 200


@pytest.mark.parametrize("path", PATHS)
def test_copies_may_be_cached_for_minutes(web, path):
    assert web.get(path).headers["cache-control"] == "public, max-age=300"


def test_the_page_may_load_its_own_style_and_nothing_else(web):
    answer = web.get("/docs")
    (sheet,) = re.findall(rb"<style>(.*?)</style>", answer.body, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(sheet).digest()).decode()

    assert answer.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def test_the_page_names_no_other_host(web):
    page = web.get("/docs").body.decode()

    assert all(link.startswith("#") or link == "openapi.json" for link in re.findall(r'href="([^"]*)"', page))
    assert [tag for tag in ("<script", "<link", "<img", "<iframe", "src=") if tag in page] == []
    assert re.findall(r"https?://[\w.-]+", page) == []


def test_every_link_of_the_page_has_a_target(web):
    page = web.get("/docs").body.decode()
    places = re.findall(r'\bid="([^"]+)"', page)

    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(places)
    assert len(places) == len(set(places))
