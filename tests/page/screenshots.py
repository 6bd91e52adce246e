"""Take the pictures of the documentation: `make screenshots` (needs Chromium, and the fonts `fonts-inter` and `fonts-jetbrains-mono`).

Runs a stack of its own with a scripted model, so that the pictures show the same conversation each time.
"""

import json
import shutil
import sys

from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.e2e.conftest import ROOT, running_stack
from tests.fakes.vendor import USAGE, chunk, running_vendor, says, streams
from tests.page.conftest import BROWSERS, ask
from tests.support.api_gateway import PASSWORD

PICTURES = ROOT / "docs" / "pictures"
MAX_BYTES = 150_000
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 780}}

HANDBOOK = """# Leave

Every employee has thirty days of paid leave a year. Unused days move to the next year until the end of March.

# Travel

Book trains before flights. Trips of more than two days need the approval of your team lead.
"""
CITED = """You have **thirty days** of paid leave a year [1]. Days that you do not use move to the next year [1].

To plan a longer trip:

1. Check your remaining days.
2. Ask your team lead, if the trip is longer than two days [2].
"""
TITLES = ("Leave and longer trips", "12.5% of 840", "The most common words of a text")
CODE = '''A dictionary does this in one line:

```python
from collections import Counter

def most_common_words(text: str, count: int = 3) -> list[tuple[str, int]]:
    """Return the most frequent words, with their numbers."""
    return Counter(text.lower().split()).most_common(count)
```

| Input | Result |
|---|---|
| `"a b a"` | `[("a", 2), ("b", 1)]` |

It takes time in proportion to the text: $O(n)$.
'''


def calls(tool: str, arguments: dict[str, str]) -> bytes:
    """Return the stream of a model that calls a tool."""
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": tool, "arguments": json.dumps(arguments)}}
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "vendor-model"}
    steps = [({"tool_calls": [call]}, None), ({}, "tool_calls")]
    chunks = [head | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]} for delta, reason in steps]
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in chunks) + chunk(usage=USAGE) + b"data: [DONE]\n\n"


def take(tab: Page, name: str) -> None:
    """Take the screen's picture, and fail if it is too large for the repository."""
    tab.wait_for_timeout(500)
    target = PICTURES / f"{name}.png"
    tab.screenshot(path=target)
    if target.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{target.name} has {target.stat().st_size} bytes, more than {MAX_BYTES}")


def main() -> int:
    """Take all pictures."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        print("Chromium is not installed", file=sys.stderr)
        return 1
    PICTURES.mkdir(exist_ok=True)
    with (
        running_vendor() as vendor,
        sync_playwright() as playwright,
        running_stack(vendor, "--parameter", "AdminEmail=ada@example.com") as stack,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        context = browser.new_context(viewport=SIZES["desktop"], reduced_motion="reduce")
        tab = context.new_page()
        tab.set_default_timeout(90_000)
        tab.goto(f"{stack.url}/#/register")
        tab.locator("h1").wait_for()
        take(tab, "register")
        body = {"email": "ada@example.com", "password": PASSWORD, "display_name": "Ada"}
        made = context.request.post(f"{stack.url}/auth/register", data=body, headers={"X-Session-Mode": "cookie"})
        headers = {"Authorization": f"Bearer {made.json()['access_token']}"}
        file = {"name": "Handbook.md", "mimeType": "text/markdown", "buffer": HANDBOOK.encode()}
        context.request.post(f"{stack.url}/documents", multipart={"file": file}, headers=headers)
        for text in ("I work in the Lyon office.", "I prefer short answers."):
            context.request.post(f"{stack.url}/memories", data={"text": text}, headers=headers)
        tab.reload()
        tab.locator(".welcome").wait_for()
        converse(tab, vendor, stack.url)
        name_conversations(context, stack.url, headers)
        tab.reload()
        for theme in ("light", "dark"):
            tab.emulate_media(color_scheme=theme, reduced_motion="reduce")
            for size, viewport in SIZES.items():
                tab.set_viewport_size(viewport)
                screens(tab, stack.url, f"{size}-{theme}")
        browser.close()
    return 0


def converse(tab: Page, vendor: object, url: str) -> None:
    """Have the conversations that the pictures show; the cited one is the last."""
    vendor.script = streams(*CODE.splitlines(keepends=True))
    ask(tab, "How do I find the most common words of a text in Python?")
    tab.locator(".figures").last.wait_for()
    tab.goto(f"{url}/#/")
    answers = [says(calls("calculator", {"expression": "840 * 12.5 / 100"})), streams("12.5% of 840 is **105**.")]
    vendor.script = lambda handler: answers.pop(0)(handler)
    ask(tab, "What is 12.5% of 840?")
    tab.locator(".figures").last.wait_for()
    tab.goto(f"{url}/#/documents")
    tab.get_by_text("passage").first.wait_for()
    tab.goto(f"{url}/#/")
    tab.get_by_role("button", name="Documents", exact=True).click()
    vendor.script = streams(*CITED.splitlines(keepends=True))
    ask(tab, "How many days of leave do I have, and who approves a longer trip?")
    tab.locator(".sources").last.wait_for()


def name_conversations(context: BrowserContext, url: str, headers: dict[str, str]) -> None:
    """Give the conversations titles, the newest first: the model's would be whatever its script holds when the job runs."""
    listed = context.request.get(f"{url}/conversations", headers=headers).json()["items"]
    for conversation, title in zip(listed, TITLES, strict=True):
        named = context.request.patch(f"{url}/conversations/{conversation['id']}", data={"title": title}, headers=headers)
        if not named.ok:
            raise SystemExit(f"renaming failed with status {named.status}")


def screens(tab: Page, url: str, suffix: str) -> None:
    """Take the pictures of every screen in one size and theme."""
    current = f"{url}/#/"
    tab.goto(current)
    tab.locator(".welcome").wait_for()
    take(tab, f"welcome-{suffix}")
    links = [link.get_attribute("href") for link in tab.locator(".entry-row > a").all()]
    for name, link in zip(("chat", "tool", "code"), links, strict=False):
        tab.goto(f"{url}/{link}")
        tab.locator(".figures").last.wait_for()
        tab.mouse.move(0, 0)
        take(tab, f"{name}-{suffix}")
    for screen in ("documents", "memory", "settings/usage", "settings/tools", "settings/security", "admin/users", "admin/usage"):
        tab.goto(f"{url}/#/{screen}")
        tab.wait_for_load_state("networkidle")
        take(tab, f"{screen.replace('/', '-')}-{suffix}")


if __name__ == "__main__":
    raise SystemExit(main())
