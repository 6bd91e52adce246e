"""`POST /rerank` as Cohere (v2), Jina, Voyage, vLLM and llama.cpp have it.

`top_n` is left out: all of them then score every text, and Voyage calls it otherwise.
"""

from collections.abc import Sequence
from typing import Any

from parley.llm.reranker import Reranked, checked

PATH = "/rerank"


def arguments(model_name: str, query: str, texts: Sequence[str]) -> dict[str, Any]:
    """Return the request's body."""
    return {"model": model_name, "query": query, "documents": list(texts)}


def read(body: Any, query: str, texts: Sequence[str], *, provider: str) -> Reranked:
    """Read an answer: `results`, or Voyage's `data`. Raises ProviderFailed, LookupError and TypeError."""
    rows = body["results"] if "results" in body else body["data"]
    scores = [(row["index"], row["relevance_score"]) for row in rows]
    return checked(provider, scores, query, texts, tokens=_tokens(body))


def _tokens(body: dict[str, Any]) -> Any:
    """Return the tokens that are billed; Cohere bills searches, and may not tell of tokens at all."""
    usage = body.get("usage") or (body.get("meta") or {}).get("tokens") or {}
    return next((usage[name] for name in ("total_tokens", "prompt_tokens", "input_tokens") if usage.get(name) is not None), None)
