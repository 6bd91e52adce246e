"""Vendor keys by reference."""

import boto3
import pytest

from parley.errors import Unavailable
from parley.llm.errors import ProviderMisconfigured
from parley.llm.messages import Message, ModelRequest
from parley.llm.model import Model
from parley.llm.provider_registry import ProviderRegistry
from parley.llm.vendor_keys import CACHE_S, RETRY_S, VendorKeys
from tests.fakes.wire_formats.chat import OPENAI

REFERENCE = "secret:parley/test/openai"


@pytest.fixture
def secret():
    client = boto3.client("secretsmanager")
    client.create_secret(Name="parley/test/openai", SecretString="first\n")
    yield lambda value: client.put_secret_value(SecretId="parley/test/openai", SecretString=value)
    client.delete_secret(SecretId="parley/test/openai", ForceDeleteWithoutRecovery=True)


def test_a_key_comes_from_the_environment():
    assert VendorKeys({"A": "k"}).find("env:A") == "k"
    assert VendorKeys({"A": ""}).find("env:A") is None
    assert VendorKeys({}).find(None) is None


def test_a_variable_may_name_a_secret_so_that_no_function_is_configured_with_a_key(secret):
    keys = VendorKeys({"OPENAI_API_KEY": REFERENCE})

    assert keys.find("env:OPENAI_API_KEY") == "first"


def test_a_rotated_secret_takes_effect_after_five_minutes_and_is_not_fetched_before(secret):
    now = [0.0]
    keys = VendorKeys({}, now_s=lambda: now[0])
    found = [keys.find(REFERENCE)]
    secret("second")
    for now[0] in (CACHE_S - 1, CACHE_S):
        found.append(keys.find(REFERENCE))

    assert found == ["first", "first", "second"]


def test_a_missing_secret_is_a_misconfiguration():
    with pytest.raises(ProviderMisconfigured, match="ResourceNotFound"):
        VendorKeys({}).find("secret:parley/test/nothing")


def test_a_provider_is_cached_until_its_key_is_rotated(vendor, secret):
    now = [0.0]
    providers = vendor.closing(ProviderRegistry({}, keys=VendorKeys({}, now_s=lambda: now[0])))
    model = Model(provider="openai", name="m", base_url=vendor.url, api_key=REFERENCE)
    OPENAI.plays(vendor, OPENAI.texts("ok"))
    first = providers(model)
    is_kept = providers(model) is first
    secret("second")
    now[0] = CACHE_S
    list(providers(model).stream("m", ModelRequest([Message("user", "hi")])))

    assert is_kept
    assert vendor.requests[0][0]["authorization"] == "Bearer second"


def test_a_cached_key_stays_while_secrets_manager_is_unavailable(secret, monkeypatch, caplog):
    now, fetched_at = [0.0], []
    keys = VendorKeys({}, now_s=lambda: now[0])
    keys.find(REFERENCE)

    def away(name):
        fetched_at.append(now[0])
        raise Unavailable("Secrets Manager")

    monkeypatch.setattr("parley.llm.vendor_keys._fetch_secret", away)
    found = []
    for now[0] in (CACHE_S, CACHE_S + RETRY_S - 1, CACHE_S + RETRY_S):
        found.append(keys.find(REFERENCE))

    assert (found, fetched_at) == (["first"] * 3, [CACHE_S, CACHE_S + RETRY_S])


def test_old_providers_are_closed_when_there_are_too_many(vendor, monkeypatch):
    monkeypatch.setattr("parley.llm.provider_registry.MAX_CACHED", 2)
    providers = vendor.closing(ProviderRegistry({}))
    one, two, three = (Model(provider="openai-compatible", name=str(n), base_url=vendor.url) for n in range(3))
    first, second = providers(one), providers(two)
    providers(one), providers(three)

    assert providers(one) is first
    assert providers(two) is not second
