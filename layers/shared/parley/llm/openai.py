"""OpenAI, and every server that speaks its Chat Completions."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import openai

from parley.llm import openai_chat, openai_responses, rerank_wire
from parley.llm.embedder import Embedded, Purpose, checked
from parley.llm.http_client import make_client, opened, patience
from parley.llm.line import Answer, Line
from parley.llm.openai_chat import Dialect
from parley.llm.reranker import Reranked
from parley.llm.sdk import as_it_is, translated
from parley.llm.tool_names import for_vendor, from_vendor
from parley.llm.types import Event, Request

BASE_URL = "https://api.openai.com/v1"


class _Client:
    """The vendor's own SDK, its retries off: the caller decides what to repeat."""

    def __init__(self, name: str, *, api_key: str | None, base_url: str | None, timeout_s: float) -> None:
        self._name, self._key = name, api_key
        url = base_url or BASE_URL
        http_client = make_client(url, timeout_s=timeout_s)
        # A server without a key still gets the header that the SDK insists on. Organisation and project are the key's
        # own: the SDK would send what stands in the environment for OpenAI to every other vendor, too.
        options: dict[str, Any] = {"max_retries": 0, "timeout": patience(timeout_s), "http_client": http_client}
        self._client = openai.OpenAI(api_key=api_key or "none", base_url=url, **options)
        self._client.organization = self._client.project = None

    def close(self) -> None:
        """Close the connections that are kept for the next call."""
        self._client.close()


class OpenAIProvider(_Client):
    """Chat Completions, or Responses where `api` says so; `dialect` is how a server departs from OpenAI's own."""

    def __init__(
        self,
        name: str,
        *,
        api_key: str | None,
        base_url: str | None = None,
        timeout_s: float = 120.0,
        api: Literal["chat", "responses"] = "chat",
        dialect: Dialect | None = None,
    ) -> None:
        super().__init__(name, api_key=api_key, base_url=base_url, timeout_s=timeout_s)
        self._api, self._dialect = api, dialect or Dialect()

    def stream(self, model_name: str, request: Request) -> Answer:
        """Yield the answer as the vendor sends it."""
        line = Line()
        return Answer(self._events(line, model_name, request), line)

    def _events(self, line: Line, model_name: str, request: Request) -> Iterator[Event]:
        with translated(openai, self._name, key=self._key), opened(line, self._open(model_name, for_vendor(request))) as response:
            if self._api == "responses":
                events = openai_responses.events(response, request, provider=self._name, origin=f"{self._name}/{model_name}")
            else:
                events = openai_chat.events(response, request, provider=self._name)
            yield from from_vendor(events, request)

    def _open(self, model_name: str, request: Request) -> Any:
        if self._api == "responses":
            arguments = openai_responses.arguments(f"{self._name}/{model_name}", model_name, request)
            return self._client.responses.with_streaming_response.create(**as_it_is(arguments, insists_on="input"))
        arguments = openai_chat.arguments(model_name, request, self._dialect)
        return self._client.chat.completions.with_streaming_response.create(**as_it_is(arguments, insists_on="messages"))


class OpenAIEmbedder(_Client):
    """Embeddings by the same SDK; `asks_dimensions` is for models that can be told how long a vector shall be."""

    # OpenAI takes 2,048 texts and 300,000 tokens a request, small servers far less.
    batch_texts, batch_tokens = 128, 100_000

    def __init__(
        self,
        name: str,
        *,
        api_key: str | None,
        dimensions: int,
        base_url: str | None = None,
        timeout_s: float = 60.0,
        asks_dimensions: bool = False,
    ) -> None:
        super().__init__(name, api_key=api_key, base_url=base_url, timeout_s=timeout_s)
        self.dimensions = dimensions
        self._options: dict[str, Any] = {"dimensions": dimensions} if asks_dimensions else {}

    def embed_batch(self, model_name: str, texts: Sequence[str], *, purpose: Purpose) -> Embedded:  # noqa: ARG002 - one for both
        """Embed one batch."""
        with translated(openai, self._name, key=self._key):
            arguments = {"model": model_name, "input": list(texts), "encoding_format": "float"} | self._options
            body = self._client.embeddings.with_raw_response.create(**arguments).http_response.json()
            rows = sorted(body["data"], key=lambda row: row["index"])
            tokens = (body.get("usage") or {}).get("prompt_tokens")
            return checked(self._name, [row["embedding"] for row in rows], texts, dimensions=self.dimensions, input_tokens=tokens)


class OpenAIReranker(_Client):
    """Reranking at a server of that kind; OpenAI itself has none, so the SDK carries the body as it is."""

    def rerank(self, model_name: str, query: str, texts: Sequence[str]) -> Reranked:
        """Order texts in one call."""
        with translated(openai, self._name, key=self._key):
            body = self._client.post(rerank_wire.PATH, cast_to=object, body=rerank_wire.arguments(model_name, query, texts))
            return rerank_wire.read(body, query, texts, provider=self._name)
