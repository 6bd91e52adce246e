"""A catalogue whose `rerank` role points at a fake vendor, and that vendor's answers."""

from typing import Any

from parley.llm.catalogue import Catalogue
from tests.conftest import ROOT
from tests.fakes.vendor import replies

MODELS = (ROOT / "tests" / "models.toml").read_text()
RERANKER_MODEL = """
[models.judge]
provider = "openai-compatible"
name = "judge-1"
kind = "rerank"
base_url = "{url}"
input_usd_per_mtok = 10.0
timeout_s = 60
"""


def with_reranker(url: str) -> Catalogue:
    """Return the tests' model catalogue with a reranker at `url`."""
    return Catalogue.parse(MODELS.replace("[roles]", '[roles]\nrerank = "judge"') + RERANKER_MODEL.format(url=url), source="a test")


def ranks_last_first(handler: Any) -> None:
    """Rank the last text highest, and report 100 tokens."""
    rows = [{"index": index, "relevance_score": float(index)} for index in range(len(handler.request_body["documents"]))]
    replies({"results": rows, "usage": {"total_tokens": 100}})(handler)
