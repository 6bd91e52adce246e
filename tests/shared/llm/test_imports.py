"""A vendor's SDK is imported when the first model of that vendor is called."""

import subprocess
import sys

import pytest

SDKS = ("openai", "anthropic", "boto3", "httpx2")
MAKES = """
import sys
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.model import Model
from parley.llm.provider_registry import ProviderRegistry
from parley.llm.messages import Message, ModelRequest
from parley.settings import CatalogueSettings
catalogue = LiveCatalogue.of(CatalogueSettings(models_file="", models_parameter=""))()
providers = ProviderRegistry({{"AWS_REGION": "eu-west-1", "OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k", "MISTRAL_API_KEY": "k"}})
{what}
print(*sorted(set(sys.modules) & {sdks}))
"""


@pytest.mark.parametrize(
    ("what", "imported"),
    [
        ("", ""),
        ("list(providers(catalogue.models['offline']).stream('', ModelRequest([Message('user', 'hi')])))", ""),
        ("providers.embedder(catalogue.models['lexical'])", ""),
        ("providers.reranker(Model(provider='offline', name='words', kind='rerank'))", ""),
        ("providers(catalogue.models['gpt-mini'])", "httpx2 openai"),
        ("providers(catalogue.models['mistral-small'])", "httpx2 openai"),
        ("providers(catalogue.models['claude-haiku'])", "anthropic httpx2"),
        ("providers(Model(provider='bedrock', name='nova'))", "boto3"),
    ],
)
def test_only_the_called_vendors_sdk_is_imported(what, imported):
    code = MAKES.format(what=what, sdks=set(SDKS))
    done = subprocess.run([sys.executable, "-c", code], env={"POWERTOOLS_SERVICE_NAME": "t"}, capture_output=True, check=True, text=True)

    assert done.stdout.strip() == imported
