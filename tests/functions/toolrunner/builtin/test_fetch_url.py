import pytest

from functions.toolrunner.builtin.web_page import fetch_url
from parley.tools.guarded_http.errors import AddressRefused
from parley.tools.spec import ToolFailed

PAGE = """<!doctype html><html><head><title>Bees &amp; honey</title><style>p { color: red }</style></head><body>
<nav>Home About</nav><main><h1>Bees</h1><p>Bees make <b>honey</b>
of nectar.</p><script>alert(1)</script><ul><li>one</li><li>two</li></ul><table><tr><td>a</td><td>b</td></tr></table></main>
<footer>Imprint</footer></body></html>"""


def read(web, body, kind="text/html; charset=utf-8", status=200):
    return fetch_url.run({"url": web.put("/page", body.encode() if isinstance(body, str) else body, kind, status)}, web.call)


def test_a_page_gives_title_and_text_without_menus_and_scripts(web):
    text = read(web, PAGE)

    assert text.startswith("Bees & honey\n\nBees\nBees make honey of nectar.\none\ntwo\na b")
    assert not [word for word in ("Home", "alert", "color", "Imprint") if word in text]


def test_a_main_part_with_enough_text_replaces_the_body(web):
    long = "Bees fly far. " * 30

    assert "Subscribe" not in read(web, f"<body><div>Subscribe now</div><article>{long}</article></body>")
    assert "Welcome" in read(web, "<body><div>Welcome</div><article>Soon.</article></body>")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b"caf\xc3\xa9"),
        ("text/plain; charset=latin-1", b"caf\xe9"),
        ("text/plain; charset=nonsense", b"caf\xc3\xa9"),
        ("text/plain; charset=base64", b"caf\xc3\xa9"),
    ],
)
def test_plain_text_is_returned_unchanged(web, kind, body):
    assert read(web, body, kind) == "café"


def test_a_page_is_decoded_by_its_meta_tag(web):
    page = '<html><head><meta charset="windows-1251"></head><body>Пчёлы</body></html>'

    assert read(web, page.encode("windows-1251"), "text/html") == "Пчёлы"


@pytest.mark.parametrize(("size", "text"), [(1_024, "Пчёлы"), (1_025, "\ufffd" * 5)])
def test_a_meta_tag_is_looked_for_in_the_first_1024_bytes_and_not_against_the_server(web, size, text):
    meta = '<meta charset="windows-1251">'
    page = f"{' ' * (size - len(meta) + len('">'))}{meta}<body>Пчёлы</body>"

    assert read(web, page.encode("windows-1251"), "text/html") == text
    assert read(web, f"{meta}<body>Пчёлы</body>") == "Пчёлы"


def test_a_page_may_be_anywhere_so_each_user_turns_the_tool_on():
    assert (fetch_url.spec.egress, fetch_url.spec.is_enabled) == (True, False)


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("image/png", "image/png"),
        ("Application/PDF; version=2", "application/pdf"),
        ("application/zip", "application/zip"),
        ("", "of an unknown type"),
    ],
)
def test_a_page_that_is_not_text_is_refused(web, kind, named):
    with pytest.raises(ToolFailed, match=f"not text but {named}."):
        read(web, b"\x89PNG", kind)


def test_an_error_status_is_reported(web):
    with pytest.raises(ToolFailed, match="status 404"):
        fetch_url.run({"url": web.url("/nowhere")}, web.call)


def test_an_internal_address_is_refused(web):
    with pytest.raises(AddressRefused):
        fetch_url.run({"url": f"http://127.0.0.1:{web.port}/"}, web.call)


def test_an_empty_page_is_reported(web):
    assert read(web, "") == "The page contains no text."
