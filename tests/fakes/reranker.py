"""A catalogue whose `rerank` role is a fake server, and that server's answers."""

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
timeout_s = 10
"""


def with_reranker(url: str) -> Catalogue:
    """The tests' models, with one at `url` that reranks."""
    return Catalogue.parse(MODELS.replace("[roles]", '[roles]\nrerank = "judge"') + RERANKER_MODEL.format(url=url), source="a test")


def ranks_last_first(handler: Any) -> None:
    """Answer that the last text fits best, for 100 tokens."""
    rows = [{"index": place, "relevance_score": float(place)} for place in range(len(handler.asked["documents"]))]
    replies({"results": rows, "usage": {"total_tokens": 100}})(handler)
