"""Keys by reference."""

import boto3
import pytest

from parley.errors import Unavailable
from parley.llm.failures import ProviderMisconfigured
from parley.llm.keys import AGAIN_S, KEPT_S, Keys
from parley.llm.model import Model
from parley.llm.providers import Providers
from parley.llm.types import Message, Request
from tests.fakes.wires.chat import OPENAI

REFERENCE = "secret:parley/test/openai"


@pytest.fixture
def secret():
    client = boto3.client("secretsmanager")
    client.create_secret(Name="parley/test/openai", SecretString="first\n")
    yield lambda value: client.put_secret_value(SecretId="parley/test/openai", SecretString=value)
    client.delete_secret(SecretId="parley/test/openai", ForceDeleteWithoutRecovery=True)


def test_a_key_comes_from_the_environment():
    assert Keys({"A": "k"}).find("env:A") == "k"
    assert Keys({"A": ""}).find("env:A") is None
    assert Keys({}).find(None) is None


def test_a_rotated_secret_is_found_after_five_minutes_and_not_asked_for_before(secret):
    now = [0.0]
    keys = Keys({}, now_s=lambda: now[0])
    found = [keys.find(REFERENCE)]
    secret("second")
    for now[0] in (KEPT_S - 1, KEPT_S):
        found.append(keys.find(REFERENCE))

    assert found == ["first", "first", "second"]


def test_a_secret_that_is_not_there_is_the_operators_to_mend():
    with pytest.raises(ProviderMisconfigured, match="ResourceNotFound"):
        Keys({}).find("secret:parley/test/nothing")


def test_a_provider_is_kept_until_its_key_is_rotated(vendor, secret):
    now = [0.0]
    providers = vendor.closing(Providers({}, keys=Keys({}, now_s=lambda: now[0])))
    model = Model(provider="openai", name="m", base_url=vendor.url, api_key=REFERENCE)
    OPENAI.plays(vendor, OPENAI.texts("ok"))
    first = providers(model)
    is_kept = providers(model) is first
    secret("second")
    now[0] = KEPT_S
    list(providers(model).stream("m", Request([Message("user", "hi")])))

    assert is_kept
    assert vendor.requests[0][0]["authorization"] == "Bearer second"


def test_a_key_stays_while_secrets_manager_is_away(secret, monkeypatch, caplog):
    now, asked = [0.0], []
    keys = Keys({}, now_s=lambda: now[0])
    keys.find(REFERENCE)

    def away(name):
        asked.append(now[0])
        raise Unavailable("Secrets Manager")

    monkeypatch.setattr("parley.llm.keys._fetch", away)
    found = []
    for now[0] in (KEPT_S, KEPT_S + AGAIN_S - 1, KEPT_S + AGAIN_S):
        found.append(keys.find(REFERENCE))

    assert (found, asked) == (["first"] * 3, [KEPT_S, KEPT_S + AGAIN_S])


def test_old_providers_are_closed_when_there_are_too_many(vendor, monkeypatch):
    monkeypatch.setattr("parley.llm.providers.MOST_KEPT", 2)
    providers = vendor.closing(Providers({}))
    one, two, three = (Model(provider="openai-compatible", name=str(n), base_url=vendor.url) for n in range(3))
    first, second = providers(one), providers(two)
    providers(one), providers(three)

    assert providers(one) is first
    assert providers(two) is not second
