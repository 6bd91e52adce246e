"""The conversation function with an embedding model, and with a model whose service does not answer."""

import pytest

from parley.llm.catalogue import Catalogue
from tests.conftest import ROOT

PLAIN = (ROOT / "tests" / "models.toml").read_text()
DEAD = """
[models.dead]
provider = "openai-compatible"
name = "dead"
kind = "embedding"
base_url = "http://127.0.0.1:9/v1"
dimensions = 4
"""


def playing(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    """Give a model the embedding role."""
    from functions.conversation.app import services

    catalogue = Catalogue.parse(PLAIN.replace("[roles]", f'[roles]\nembedding = "{model}"') + DEAD, source="a test")
    services.embedding.catalogue()
    monkeypatch.setattr(services.embedding.catalogue, "_current", catalogue)


@pytest.fixture
def meaning(conversation: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function has an embedding model."""
    playing(monkeypatch, "lexical")


@pytest.fixture
def dead(conversation: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function has an embedding model whose service does not answer."""
    playing(monkeypatch, "dead")
