"""Web search: each engine's own API behind one request, on a fake server."""

import json
from http.server import BaseHTTPRequestHandler
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from functions.toolrunner.requests import parse_request
from functions.toolrunner.web_search import search_web
from parley.tools.guarded_http.client import GuardedHttp
from tests.fakes.http_server import serving

PAGE, TITLE = "https://lisbon.example/trams", "Trams of Lisbon"
RESPONSES = {
    "tavily": {"results": [{"url": PAGE, "title": TITLE, "content": "Line 28 is the best known.", "score": 0.9}]},
    "brave": {
        "web": {"results": [{"url": PAGE, "title": TITLE, "description": "Line 28 is the best&nbsp;known.".replace("&nbsp;", "&#32;")}]}
    },
    "exa": {"results": [{"url": PAGE, "title": TITLE, "highlights": ["Line 28 is the best known."]}]},
    "searxng": {"results": [{"url": PAGE, "title": TITLE, "content": "Line 28 is the best known.", "engines": ["x"]}]},
}
FOUND = {"results": [{"url": PAGE, "title": TITLE, "text": "Line 28 is the best known."}]}


class Engine(BaseHTTPRequestHandler):
    """Records each request and answers with `response`."""

    status = 200
    response: object = {}
    seen: ClassVar[list[dict[str, object]]]

    def do_GET(self):
        length = int(self.headers.get("Content-Length", 0))
        url = urlsplit(self.path)
        body = json.loads(self.rfile.read(length)) if length else {name: values[0] for name, values in parse_qs(url.query).items()}
        self.seen.append({"path": url.path, "headers": {name.lower(): value for name, value in self.headers.items()}, "body": body})
        answer = json.dumps(self.response).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_POST(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def engine():
    """Return a function that searches with an engine whose fake server answers as told, and the requests it received."""

    class Handler(Engine):
        seen: ClassVar = []

    with serving(Handler) as url:

        def search(name, response, *, status=200, is_allowed=True):
            Handler.response, Handler.status = response, status
            request = {"op": "search_web", "engine": name, "url": url, "key": "the-key", "query": "trams in Lisbon", "timeout_s": 5}
            return search_web(parse_request(request), GuardedHttp([urlsplit(url).netloc] if is_allowed else []))

        search.seen = Handler.seen
        yield search


@pytest.mark.parametrize("name", RESPONSES)
def test_the_results_of_every_engine_have_one_form(engine, name):
    assert engine(name, RESPONSES[name]) == FOUND


@pytest.mark.parametrize(
    ("name", "header", "value", "query_field"),
    [
        ("tavily", "authorization", "Bearer the-key", "query"),
        ("brave", "x-subscription-token", "the-key", "q"),
        ("exa", "x-api-key", "the-key", "query"),
        ("searxng", "authorization", None, "q"),
    ],
)
def test_every_engine_receives_the_query_and_its_own_form_of_key(engine, name, header, value, query_field):
    engine(name, RESPONSES[name])
    (seen,) = engine.seen

    assert (seen["body"][query_field], seen["headers"].get(header)) == ("trams in Lisbon", value)


@pytest.mark.parametrize(("name", "empty"), [("tavily", {"results": []}), ("brave", {"type": "search"}), ("searxng", {"results": []})])
def test_a_search_may_find_nothing(engine, name, empty):
    assert engine(name, empty) == {"results": []}


def test_a_result_that_is_no_web_address_is_left_out(engine):
    pages = [{"url": url, "title": "x", "content": "y"} for url in ("javascript:alert(1)", "data:text/html,x", PAGE)]

    assert [page["url"] for page in engine("tavily", {"results": pages})["results"]] == [PAGE]


@pytest.mark.parametrize("name", RESPONSES)
def test_a_result_without_an_address_or_a_text_does_not_stop_the_others(engine, name):
    empty = dict.fromkeys(("url", "title", "content", "description", "extra_snippets", "highlights"))
    results = [empty, {"title": "A sum: 4"}, empty | {"url": PAGE}]
    response = {"web": {"results": results}} if name == "brave" else {"results": results}

    assert engine(name, response) == {"results": [{"url": PAGE, "title": PAGE, "text": ""}]}


def test_results_are_few_and_short(engine):
    pages = [{"url": f"{PAGE}/{number}", "title": "t" * 9000, "content": "c" * 9000} for number in range(40)]
    results = engine("tavily", {"results": pages})["results"]

    assert (len(results), max(len(page["title"] + page["text"]) for page in results)) == (6, 1700)


def test_an_answer_of_an_engine_has_a_million_bytes_at_most(engine):
    def padded(size):
        return {"results": [], "rest": "x" * (size - len('{"results": [], "rest": ""}'))}

    assert engine("tavily", padded(1_000_000)) == {"results": []}
    assert engine("searxng", padded(1_000_001))["error"].endswith("The response is larger than 1 MB.")


@pytest.mark.parametrize(
    ("status", "response", "reason"),
    [
        (401, {}, "The search engine refused the deployment's key. Contact the operator."),
        (429, {}, "The search engine is busy. Try again shortly."),
        (500, {}, "The search engine responded with status 500."),
        (200, {"results": "none"}, "The search engine sent an unexpected response."),
        (200, [1], "The search engine sent an unexpected response."),
    ],
)
def test_a_failed_search_gives_its_reason(engine, status, response, reason):
    assert engine("tavily", response, status=status) == {"error": reason}


@pytest.mark.parametrize("name", ["tavily", "searxng"])
def test_a_private_address_is_not_searched_unless_the_operator_allows_it(engine, name):
    found = engine(name, RESPONSES[name], is_allowed=False)

    assert (found, engine.seen) == ({"error": "The search engine cannot be reached. This address is not on the public internet."}, [])
