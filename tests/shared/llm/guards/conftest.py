import pytest

from parley.llm.catalogue import Catalogue
from parley.llm.guards import call
from parley.llm.messages import Message, ModelRequest
from parley.llm.provider_registry import ProviderRegistry

MODELS = """
[roles]
chat = "vendor"

[models.vendor]
provider = "openai-compatible"
name = "m"
base_url = "{url}/v1"
"""
BEDROCK = """
[guard.bedrock]
guardrail = "gr1"
version = "3"
region = "us-east-2"
base_url = "{url}"
"""
PRESIDIO = '[guard.presidio]\nurl = "{url}"\n'


def as_message(message):
    """Return a message, which may be given as a user's text."""
    return Message("user", message) if isinstance(message, str) else message


@pytest.fixture
def called_behind(vendor):
    """Call a model behind the guards of the settings; return its events. The keywords are fields of the request."""
    providers = vendor.closing(ProviderRegistry({}))
    call.guards_of.cache_clear()

    def called(settings, *messages, **fields):
        model = Catalogue.parse((MODELS + settings).format(url=vendor.root), source="test").models["vendor"]
        called.events = providers(model).stream(model.name, ModelRequest([as_message(message) for message in messages], **fields))
        return list(called.events)

    return called
