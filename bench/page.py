"""The speed of the web page in Chromium: `python -m bench.page`. Needs Chromium and a built page (`make page`).

First paint is that of a first visit, with an empty cache. Frames are counted while an answer of 10,000 tokens streams at 200 a second.
"""

import argparse
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bench.harness.aims import Figure, Section, aims_table
from bench.harness.servers import Server, ServerFailed, free_port, running_server
from bench.harness.stack import Users, running_parley
from bench.harness.tables import median
from bench.turns.conversation_length import store_conversations

MESSAGES = 2_000
TOKENS, PER_SECOND = 10_000, 200
BROWSERS = ("chromium", "google-chrome", "google-chrome-stable")
_PATIENCE_MS = 120_000
_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
_WATCH_FRAMES = """() => {
    window.frames_ms = [];
    let before = performance.now();
    const next = (now) => { window.frames_ms.push(now - before); before = now; requestAnimationFrame(next); };
    requestAnimationFrame(next);
}"""


def run(*, rounds: int, tokens: int = TOKENS) -> Section:
    """Measure and return the figures. Raises ServerFailed if the stack does not start."""
    with TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        with _paced_model(folder, tokens) as model, running_parley(folder, upstream=f"{model.url}/v1") as server, _chromium() as browser:
            users = Users(server, 1)
            _start_chat_worker(server, users.tokens()[0])
            (long_id,) = store_conversations(server, users.tokens()[0], 1, MESSAGES)
            first_paint_ms = [_first_paint_ms(browser, server) for _ in range(rounds)]
            context = _signed_in(browser, server, users)
            opened_ms = [_opening_ms(context, server, long_id) for _ in range(rounds)]
            frames_ms = _frames_ms(context, server)
    figures = [
        Figure("first paint of the page, empty cache", median(first_paint_ms), "ms", at_most=500),
        Figure(f"a conversation of {MESSAGES:,} messages opens", median(opened_ms), "ms", at_most=1_000),
        Figure(f"longest frame while {tokens:,} tokens arrive at {PER_SECOND} a second", max(frames_ms), "ms", at_most=50),
        Figure("frames over 50 ms in that time", sum(ms > 50 for ms in frames_ms), "", at_most=0),
    ]
    return Section(f"## The page\n\n{aims_table([Section('', figures)])}", figures)


@contextmanager
def _paced_model(folder: Path, tokens: int) -> Iterator[Server]:
    port = free_port()
    pace = ["--tokens", str(tokens), "--per-second", str(PER_SECOND)]
    command = [sys.executable, "-m", "bench.harness.fake_model", "--port", str(port), *pace]
    with running_server(command, port=port, log=folder / "model.log") as server:
        yield server


def _start_chat_worker(server: Server, token: str) -> None:
    """Call a cheap route of the chat function: the stored conversations are written in the environment of its worker."""
    request = urllib.request.Request(f"{server.url}/models", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=_PATIENCE_MS / 1000):
        pass


@contextmanager
def _chromium() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        raise ServerFailed("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def _first_paint_ms(browser: Browser, server: Server) -> float:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{server.url}/")
    page.locator("h1").first.wait_for(timeout=_PATIENCE_MS)
    paint_ms: Any = page.evaluate(_PAINT)
    context.close()
    return float(paint_ms)


def _signed_in(browser: Browser, server: Server, users: Users) -> BrowserContext:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    answer = context.request.post(f"{server.url}/auth/login", data=users.credentials, headers={"X-Session-Mode": "cookie"})
    if not answer.ok:
        raise ServerFailed(f"login failed with status {answer.status}")
    return context


def _opening_ms(context: BrowserContext, server: Server, conversation_id: str) -> float:
    """Return the time from the choice of a conversation until its last message is drawn."""
    page = context.new_page()
    page.goto(f"{server.url}/")
    page.locator(".welcome").wait_for(timeout=_PATIENCE_MS)
    elapsed_ms: Any = page.evaluate(
        """async ([id, last]) => {
            const start = performance.now();
            location.hash = `#/c/${id}`;
            const seen = () => [...document.querySelectorAll(".message")].at(-1)?.textContent.includes(last);
            while (!seen()) await new Promise(requestAnimationFrame);
            await new Promise(requestAnimationFrame);
            return performance.now() - start;
        }""",
        [conversation_id, f"message {MESSAGES} "],
    )
    page.close()
    return float(elapsed_ms)


def _frames_ms(context: BrowserContext, server: Server) -> list[float]:
    """Return the length of every frame while an answer arrives, from its first text to its end."""
    page: Page = context.new_page()
    page.goto(f"{server.url}/")
    page.get_by_label("Your message", exact=True).fill("Tell me a long story")
    page.get_by_role("button", name="Send", exact=True).click()
    page.locator(".is-answer .markdown").wait_for(timeout=_PATIENCE_MS)
    page.evaluate(_WATCH_FRAMES)
    page.locator(".figures").wait_for(timeout=_PATIENCE_MS)
    frames: Any = page.evaluate("() => window.frames_ms")
    page.close()
    return [float(ms) for ms in frames]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=TOKENS)
    args = parser.parse_args()
    print(run(rounds=args.rounds, tokens=args.tokens).text)


if __name__ == "__main__":
    main()
