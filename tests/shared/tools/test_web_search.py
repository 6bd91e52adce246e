"""The tool `web_search` of the functions that have the search engine's key."""

import pytest

from parley.llm.vendor_keys import VendorKeys
from parley.settings import WebSearchSettings
from parley.tools.invoker import RunnerFailed
from parley.tools.outcome import FoundPage
from parley.tools.web_search import WebSearch

PAGE = {"url": "https://lisbon.example/trams", "title": "Trams of Lisbon", "text": "Line 28 is the best known."}


class Runner:
    """A tool runner that answers every request with `response`, or raises it."""

    def __init__(self, response):
        self.response, self.requests = response, []

    def ask(self, request, *, timeout_s):
        self.requests.append(request)
        if isinstance(self.response, Exception):
            raise self.response
        return self.response


def search(runner, *, engine="tavily", environment=None):
    (tool,) = WebSearch(engine, "", VendorKeys(environment or {"WEB_SEARCH_KEY": "tvly-1"}), runner.ask).tools()
    return tool.run({"query": "trams in Lisbon"})


def test_without_a_search_engine_there_is_no_tool():
    assert WebSearch.of(WebSearchSettings.read({}), Runner({}).ask, {}).tools() == []


def test_the_runner_receives_the_query_and_the_key():
    runner = Runner({"results": []})
    search(runner)

    assert [(request["engine"], request["key"], request["query"], request["timeout_s"]) for request in runner.requests] == [
        ("tavily", "tvly-1", "trams in Lisbon", 9.0)
    ]


def test_an_engine_without_a_key_receives_none():
    runner = Runner({"results": []})
    search(runner, environment={"OTHER": "x"})

    assert runner.requests[0]["key"] == ""


def test_the_found_pages_are_sources():
    outcome = search(Runner({"results": [PAGE]}))

    assert (outcome.ok, outcome.found) == (True, [FoundPage(**PAGE)])
    assert "Trams of Lisbon, https://lisbon.example/trams:\nLine 28" in outcome.content


def test_a_search_without_results_says_so():
    assert search(Runner({"results": []})).content == "The search engine found nothing."


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"error": "The search engine is busy. Try again shortly."}, "The search engine is busy. Try again shortly."),
        (RunnerFailed("X", "y", public_message="The tool is currently unavailable."), "The tool is currently unavailable."),
    ],
)
def test_a_failed_search_is_a_failed_call_with_its_reason(response, reason):
    outcome = search(Runner(response))

    assert (outcome.ok, outcome.content) == (False, reason)
