"""The limits around a tool: its time, its registration, its arguments, and what a page or a search engine may send."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from functions.toolrunner.builtin.web_page import readable_text
from functions.toolrunner.execution import run_tool
from functions.toolrunner.registry import Registry, find_plugins
from functions.toolrunner.requests import RunRequest, parse_request
from functions.toolrunner.web_search import search_web
from parley.ids import new_id
from parley.tools.decorator import tool
from parley.tools.guarded_http.client import FetchResult, GuardedHttp

ROOT = Path(__file__).parents[3]
OVERSTAYING = """
import io, sys, time
from functions.toolrunner.time_limit import exit_after
sys.stderr = io.StringIO()
with exit_after(0.05):
    pass
time.sleep(0.1)
print("went on", flush=True)
with exit_after(0.05):
    time.sleep(30)
"""


def test_code_that_overstays_ends_its_process_and_logs_where_it_was():
    done = subprocess.run([sys.executable, "-c", OVERSTAYING], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (1, "went on\n")
    assert 'File "<string>", line 10' in done.stderr


# Tools and plugins


@tool
def echo(text: str) -> str:
    """Echo."""
    return text


@tool
def six(a: int, b: int, c: int, d: int, e: int, f: int) -> str:
    """Take six numbers."""
    return str(a + b + c + d + e + f)


def run(made, **arguments):
    request = RunRequest(op="run", name=made.spec.name, arguments=arguments, user_id=new_id())
    return run_tool(Registry([made]), request, GuardedHttp())


def test_a_result_is_a_success():
    assert run(echo, text="noon") == {"ok": True, "content": "noon"}


def test_of_many_wrong_arguments_five_are_named():
    failure = run(six, a="x", b="x", c="x", d="x", e="x", f="x")

    assert (failure["ok"], failure["content"].count("valid integer")) == (False, 5)
    assert failure["content"].startswith("Invalid arguments for six: a: ")


def module(**things):
    made = ModuleType("plugin")
    vars(made).update(things)
    return made


def test_the_tools_of_a_plugin_are_found_once_and_private_names_are_not():
    registry = Registry([])
    registry.load({"module": lambda: module(one=echo, again=echo, _private=six, text="x"), "list": lambda: [six, "x"]})

    assert [spec["name"] for spec in registry.listed()["tools"]] == ["echo", "six"]
    assert (registry.listed()["broken"], registry.find("echo"), registry.find("gone")) == ([], echo, None)


def test_a_plugin_replaces_no_tool_and_its_reason_is_short():
    registry = Registry([echo])
    registry.load({"copy": lambda: echo, "empty": lambda: module(_one=echo), "long": lambda: sys.exit("x" * 900), "six": lambda: six})
    reasons = [broken["reason"] for broken in registry.listed()["broken"]]

    assert [spec["source"] for spec in registry.listed()["tools"]] == ["builtin", "plugin"]
    assert [len(reason) for reason in reasons][2] == 300
    assert ("already registered" in reasons[0], "has no tool" in reasons[1]) == (True, True)


def test_files_with_an_underscore_are_no_plugins(tmp_path):
    for name in ("b.py", "a.py", "_c.py", "d.txt"):
        (tmp_path / name).touch()

    assert list(find_plugins(tmp_path))[:2] == ["a.py", "b.py"]
    assert not {"_c.py", "d.txt"} & set(find_plugins(tmp_path))


def test_a_plugin_of_an_installed_package_is_named_by_its_package(tmp_path, monkeypatch):
    information = tmp_path / "acme_tools-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-tools\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[parley.tools]\necho = acme:echo\n")
    monkeypatch.syspath_prepend(tmp_path)

    assert list(find_plugins(tmp_path / "plugins")) == ["acme:echo of acme-tools"]


# Pages and search engines


@pytest.mark.parametrize(("length", "has_menu"), [(200, True), (201, False)])
def test_a_main_part_replaces_the_body_if_it_has_more_than_two_hundred_characters(length, has_menu):
    assert ("Menu" in readable_text(f"<body><div>Menu</div><main>{'x' * length}</main></body>")) is has_menu


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("<article>{one}</article><article>{two}</article>", {"Menu", "one", "two"}),
        ("<article>{one}<article>{two}</article></article>", {"one", "two"}),
        ("<article>{one}</article>", {"one"}),
    ],
)
def test_an_article_replaces_the_body_if_the_page_has_only_one(page, words):
    text = readable_text(f"<body><div>Menu</div>{page.format(one='one ' * 100, two='two ' * 100)}</body>")

    assert set(text.split()) == words


class Engine:
    """A search engine that records each request and responds with `pages`."""

    def __init__(self, body, status=200):
        self.body, self.status, self.seen = body, status, []

    def get(self, url, *, params, headers, timeout_s, max_bytes):
        self.seen.append((url, params))
        return FetchResult(url, self.status, "application/json", self.body)

    def post_json(self, url, body, *, headers, timeout_s, max_bytes):
        return self.get(url, params=body, headers=headers, timeout_s=timeout_s, max_bytes=max_bytes)


def search(name, body=b'{"results": []}', *, url="", status=200):
    engine = Engine(body, status)
    request = {"op": "search_web", "engine": name, "url": url, "query": "trams", "timeout_s": 5}
    return search_web(parse_request(request), engine), engine.seen[0]


@pytest.mark.parametrize(
    ("name", "url", "asked_at", "options"),
    [
        ("tavily", "", "https://api.tavily.com/search", {"max_results": 6}),
        ("brave", "", "https://api.search.brave.com/res/v1/web/search", {"count": 6, "text_decorations": "false"}),
        ("exa", "", "https://api.exa.ai/search", {"numResults": 6, "contents": {"highlights": True}}),
        ("searxng", "https://searx.example/", "https://searx.example/search", {"format": "json"}),
    ],
)
def test_each_engine_is_asked_for_six_results_in_its_own_way(name, url, asked_at, options):
    _, (seen_at, body) = search(name, url=url)

    assert (seen_at, body) == (asked_at, {"q" if name in ("brave", "searxng") else "query": "trams"} | options)


@pytest.mark.parametrize(("length", "count"), [(2_000, 1), (2_001, 0)])
def test_a_result_has_an_address_of_two_thousand_letters_at_most(length, count):
    address = "https://a.example/".ljust(length, "x")
    found, _ = search("tavily", f'{{"results": [{{"url": "{address}", "title": null}}]}}'.encode())

    assert [page["title"] for page in found["results"]] == [address] * count


def test_all_excerpts_of_a_result_are_kept():
    brave = b'{"web": {"results": [{"url": "http://a", "description": "Fish &amp; chips", "extra_snippets": ["peas"]}]}}'
    exa = b'{"results": [{"url": "http://a", "highlights": ["one", "two"]}]}'

    assert search("brave", brave)[0]["results"] == [{"url": "http://a", "title": "http://a", "text": "Fish & chips\npeas"}]
    assert search("exa", exa)[0]["results"] == [{"url": "http://a", "title": "http://a", "text": "one\ntwo"}]


@pytest.mark.parametrize(("status", "reason"), [(403, "refused the deployment's key"), (201, "responded with status 201")])
def test_an_engine_that_refuses_gives_a_reason(status, reason):
    assert reason in search("tavily", status=status)[0]["error"]
