"""A retriever over Parley's search in documents and in past conversations."""

import html
import re
from collections.abc import Mapping
from typing import Any, Literal

import httpx
from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import SecretStr

# A snippet is escaped HTML, so that only the marks of matches are tags.
_MARK = re.compile(r"</?mark>")


class ParleyRetriever(BaseRetriever):
    """Return the `k` best results of Parley's hybrid search, best first.

    A document's `page_content` is the text of a chunk, or with `source="conversations"` an excerpt of a passage. `metadata` has the
    other fields of the result, such as `document_id`, `title`, `page` and `score`. Raises `httpx.HTTPStatusError` for an error
    status.
    """

    url: str
    api_key: SecretStr
    k: int = 5
    source: Literal["documents", "conversations"] = "documents"
    timeout_s: float = 30.0

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain passes it
    ) -> list[Document]:
        with httpx.Client(**self._options()) as http:
            return self._documents(http.get(self._path, params=self._params(query)))

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002
    ) -> list[Document]:
        async with httpx.AsyncClient(**self._options()) as http:
            return self._documents(await http.get(self._path, params=self._params(query)))

    @property
    def _path(self) -> str:
        return f"/{self.source}/search"

    def _options(self) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.api_key.get_secret_value()}"}
        return {"base_url": self.url.rstrip("/"), "headers": headers, "timeout": self.timeout_s}

    def _params(self, query: str) -> dict[str, str]:
        return {"q": query, "limit": str(self.k)}

    def _documents(self, response: httpx.Response) -> list[Document]:
        return [self._document(item) for item in response.raise_for_status().json()["items"]]

    def _document(self, item: Mapping[str, Any]) -> Document:
        field = "text" if self.source == "documents" else "snippet"
        text = item[field] if field == "text" else html.unescape(_MARK.sub("", item[field]))
        return Document(page_content=text, metadata={name: value for name, value in item.items() if name != field})
