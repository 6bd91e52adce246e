"""The tool `web_search`: asks the deployment's search engine through the tool runner.

It runs in the calling function, which has the engine's key; the tool runner, which may reach the internet, has no secrets and
receives the key with each request.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from parley.llm.vendor_keys import VendorKeys
from parley.settings import WebSearchSettings
from parley.tools.invoker import RunnerFailed
from parley.tools.outcome import FoundPage, ToolOutcome
from parley.tools.spec import MAX_TIMEOUT_S, ToolSpec
from parley.tools.toolbox import InProcessTool

WEB_SEARCH = ToolSpec(
    "web_search",
    "Search the web. Returns titles, addresses and excerpts of the best pages.",
    {
        "type": "object",
        "properties": {"query": {"type": "string", "minLength": 1, "maxLength": 400, "description": "The search query, in plain words"}},
        "required": ["query"],
        "additionalProperties": False,
    },
    "builtin",
    egress=True,
)
KEY_REFERENCE = "env:WEB_SEARCH_KEY"
# The function that waits for the tool runner adds its own network time.
_TIMEOUT_S = MAX_TIMEOUT_S - 1


@dataclass(frozen=True, slots=True)
class WebSearch:
    """The deployment's search engine. `ask` sends a request to the tool runner. Thread-safe."""

    engine: str
    url: str
    keys: VendorKeys
    ask: Callable[..., Mapping[str, Any]]

    @classmethod
    def of(cls, settings: WebSearchSettings, ask: Callable[..., Mapping[str, Any]], environment: Mapping[str, str]) -> Self:
        """Return the search engine that the settings name. If they name none, there is no tool."""
        return cls(settings.web_search_engine, settings.web_search_url, VendorKeys(environment), ask)

    def tools(self) -> list[InProcessTool]:
        """Return the tool, or an empty list if the deployment has no search engine."""
        return [InProcessTool(WEB_SEARCH, self._run)] if self.engine else []

    def _run(self, arguments: Mapping[str, Any]) -> ToolOutcome:
        key = self.keys.find(KEY_REFERENCE) or ""
        request = {"op": "search_web", "engine": self.engine, "url": self.url, "key": key, "query": str(arguments["query"])}
        try:
            response = self.ask(request | {"timeout_s": _TIMEOUT_S}, timeout_s=_TIMEOUT_S)
        except RunnerFailed as exc:
            return ToolOutcome(False, exc.public_message)
        if "error" in response:
            return ToolOutcome(False, str(response["error"]))
        found = [FoundPage(page["url"], page["title"], page["text"]) for page in response["results"]]
        return ToolOutcome(True, "\n\n".join(map(_page_text, found)) or "The search engine found nothing.", found=found)


def _page_text(page: FoundPage) -> str:
    return f"{page.title}, {page.url}:\n{page.text}"
