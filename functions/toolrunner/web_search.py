"""Web search through one of four engines, each with its own API. The caller chooses the engine and supplies the key.

Sources: https://docs.tavily.com, https://api-dashboard.search.brave.com, https://exa.ai/docs and https://docs.searxng.org.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import unescape
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ValidationError

from functions.toolrunner.requests import SearchWebRequest
from parley.errors import ParleyError
from parley.observability import logger
from parley.tools.guarded_http.client import FetchResult, GuardedHttp

MAX_RESULTS = 6
_MAX_TEXT_CHARACTERS = 1500
_MAX_TITLE_CHARACTERS = 200
_MAX_URL_CHARACTERS = 2000
_MAX_BYTES = 1_000_000

# An engine may leave a field out or give null, even for the address of a result.
type _Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
type _Texts = Annotated[list[str], BeforeValidator(lambda value: [] if value is None else value)]


class _Page(BaseModel):
    """A result of Tavily or SearXNG."""

    url: _Text = ""
    title: _Text = ""
    content: _Text = ""

    @property
    def text(self) -> str:
        return self.content


class _BravePage(BaseModel):
    url: _Text = ""
    title: _Text = ""
    description: _Text = ""
    extra_snippets: _Texts = []

    @property
    def text(self) -> str:
        return unescape("\n".join([self.description, *self.extra_snippets]))


class _ExaPage(BaseModel):
    url: _Text = ""
    title: _Text = ""
    highlights: _Texts = []

    @property
    def text(self) -> str:
        return "\n".join(self.highlights)


class _Results(BaseModel):
    results: list[_Page]


class _ExaResults(BaseModel):
    results: list[_ExaPage]


class _BraveWeb(BaseModel):
    results: list[_BravePage] = []


class _BraveResults(BaseModel):
    # Brave leaves `web` out if nothing was found.
    web: _BraveWeb = _BraveWeb()

    @property
    def results(self) -> list[_BravePage]:
        return self.web.results


@dataclass(frozen=True, slots=True)
class _Engine:
    """The public address of an engine, its request, and the model of its response."""

    address: str
    request: Callable[[SearchWebRequest, str, GuardedHttp], FetchResult]
    response: type[_Results | _ExaResults | _BraveResults]


def _ask_tavily(request: SearchWebRequest, url: str, http: GuardedHttp) -> FetchResult:
    body = {"query": request.query, "max_results": MAX_RESULTS}
    return _post(request, url, http, {"Authorization": f"Bearer {request.key}"}, body)


def _ask_exa(request: SearchWebRequest, url: str, http: GuardedHttp) -> FetchResult:
    body = {"query": request.query, "numResults": MAX_RESULTS, "contents": {"highlights": True}}
    return _post(request, url, http, {"x-api-key": request.key}, body)


def _ask_brave(request: SearchWebRequest, url: str, http: GuardedHttp) -> FetchResult:
    params: dict[str, str | int | float] = {"q": request.query, "count": MAX_RESULTS, "text_decorations": "false"}
    return _get(request, url, http, {"X-Subscription-Token": request.key}, params)


def _ask_searxng(request: SearchWebRequest, url: str, http: GuardedHttp) -> FetchResult:
    return _get(request, f"{url.rstrip('/')}/search", http, {}, {"q": request.query, "format": "json"})


def _post(request: SearchWebRequest, url: str, http: GuardedHttp, headers: dict[str, str], body: Mapping[str, Any]) -> FetchResult:
    return http.post_json(url, body, headers={"Accept": "application/json"} | headers, timeout_s=request.timeout_s, max_bytes=_MAX_BYTES)


def _get(
    request: SearchWebRequest, url: str, http: GuardedHttp, headers: dict[str, str], params: Mapping[str, str | int | float]
) -> FetchResult:
    all_headers = {"Accept": "application/json"} | headers
    return http.get(url, params=params, headers=all_headers, timeout_s=request.timeout_s, max_bytes=_MAX_BYTES)


_ENGINES = {
    "tavily": _Engine("https://api.tavily.com/search", _ask_tavily, _Results),
    "brave": _Engine("https://api.search.brave.com/res/v1/web/search", _ask_brave, _BraveResults),
    "exa": _Engine("https://api.exa.ai/search", _ask_exa, _ExaResults),
    "searxng": _Engine("", _ask_searxng, _Results),
}


def search_web(request: SearchWebRequest, http: GuardedHttp) -> dict[str, Any]:
    """Return `{"results": [{"url", "title", "text"}]}` with at most six results, best first, or `{"error": reason}`. Never raises.

    Results without an http or https address are left out.
    """
    engine = _ENGINES[request.engine]
    try:
        response = engine.request(request, request.url or engine.address, http)
        if response.status != HTTPStatus.OK:
            return {"error": _refusal(response.status)}
        pages = engine.response.model_validate(response.json()).results
    except ParleyError as exc:
        logger.info("web_search_failed", engine=request.engine, error=type(exc).__name__)
        return {"error": f"The search engine cannot be reached. {exc.public_message}"}
    except ValidationError as exc:
        # The error's text contains what the engine sent, which may repeat the query.
        logger.warning("web_search_response_invalid", engine=request.engine, errors=exc.error_count())
        return {"error": "The search engine sent an unexpected response."}
    found = [page for page in pages if page.url.startswith(("https://", "http://")) and len(page.url) <= _MAX_URL_CHARACTERS]
    return {
        "results": [
            {"url": page.url, "title": page.title.strip()[:_MAX_TITLE_CHARACTERS] or page.url, "text": page.text[:_MAX_TEXT_CHARACTERS]}
            for page in found[:MAX_RESULTS]
        ]
    }


def _refusal(status: int) -> str:
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return "The search engine refused the deployment's key. Contact the operator."
        case HTTPStatus.TOO_MANY_REQUESTS:
            return "The search engine is busy. Try again shortly."
        case _:
            return f"The search engine responded with status {status}."
