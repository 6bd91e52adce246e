"""Objects that functions make from their settings."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.model import Model
from parley.metering.embeddings import MeteredEmbedder
from parley.metering.limits import DefaultLimits
from parley.settings import CatalogueSettings, LimitSettings, ModelSettings, ToolSettings
from parley.tools.mcp_registry import McpRegistry
from tests.conftest import ROOT

MODELS = str(ROOT / "tests" / "models_with_vectors.toml")
LIMITS = {"PARLEY_RATE_PER_MINUTE": "7", "PARLEY_BUDGET_USD": "1.5"}
CATALOGUE = {"PARLEY_MODELS_FILE": MODELS, "PARLEY_MODELS_PARAMETER": ""}


def test_a_missing_variable_is_named():
    with pytest.raises(ValidationError, match="models_parameter"):
        CatalogueSettings.read({"PARLEY_MODELS_FILE": ""})


def test_default_limits_come_from_the_settings():
    assert DefaultLimits.of(LimitSettings.read(LIMITS)) == DefaultLimits(7, Decimal("1.5"))


def test_without_a_parameter_or_file_the_shipped_catalogue_is_used():
    shipped = LiveCatalogue.of(CatalogueSettings(models_file="", models_parameter=""))()

    assert "gpt-mini" in shipped.models
    assert LiveCatalogue.of(CatalogueSettings.read(CATALOGUE))().models != shipped.models


def test_the_embedder_uses_the_catalogue_and_limits_of_the_settings(engine):
    embedding = MeteredEmbedder.of(ModelSettings.read(CATALOGUE | LIMITS), engine, {})
    model = embedding.call().model

    assert isinstance(model, Model)
    assert embedding.embedder_for(model).embed_batch(model.name, ["hello"], purpose="query").vectors
    assert embedding.default_limits == DefaultLimits(7, Decimal("1.5"))


def test_the_deployments_servers_are_parsed_and_an_invalid_list_is_refused():
    known = ToolSettings(toolrunner_function="f", keys_path="/k", mcp_servers='[{"name": "maps", "url": "https://maps.example.com"}]')

    assert [server.name for server in McpRegistry.of(known, lambda order, **_: {}).deployment] == ["maps"]
    with pytest.raises(ValueError, match="McpServers"):
        McpRegistry.of(known.model_copy(update={"mcp_servers": "{"}), lambda order, **_: {})
