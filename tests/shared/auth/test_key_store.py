import secrets
from datetime import timedelta

import boto3
import pytest

from parley.auth import key_store
from parley.auth.key_store import add_key, delete_keys, ensure_keys, load_encryption_key, load_keys, load_signing_keys
from parley.auth.signing_keys import SigningKey
from parley.clock import utc_now
from parley.errors import Unavailable


@pytest.fixture
def path(aws):
    return f"/parley/{secrets.token_hex(4)}/keys"


def load(path):
    return load_keys(path, issuer="parley/test/prod")


def test_missing_keys_are_unavailable(path):
    with pytest.raises(Unavailable):
        load(path)


def test_created_keys_can_be_loaded(path):
    created = ensure_keys(path)
    key_ring = load(path)

    assert (len(created), len(key_ring.keys), len(key_ring.refresh_secret), key_ring.issuer) == (4, 2, 32, "parley/test/prod")
    assert (key_ring.newest.family, key_ring.newest_api.family) == ("signing", "api")


def test_creating_keys_twice_keeps_the_first(path):
    ensure_keys(path)
    before = load(path)

    assert ensure_keys(path) == []
    assert {key.kid for key in load(path).keys} == {key.kid for key in before.keys}


def test_a_deployment_without_api_key_signing_keys_works_and_can_add_them(path):
    ensure_keys(path)
    delete_keys(path, [load(path).newest_api])
    key_ring = load(path)

    assert key_ring.newest.family == "signing"
    with pytest.raises(Unavailable):
        _ = key_ring.newest_api
    assert [name.split("/")[0] for name in ensure_keys(path)] == ["api"]


def test_many_keys_are_read_and_deleted(path):
    keys = [SigningKey.generate(now=utc_now() - timedelta(days=age)) for age in range(23)]
    names = [add_key(path, key) for key in keys]

    assert {key.kid for key in load_signing_keys(path)} == {key.kid for key in keys}
    assert (delete_keys(path, keys), load_signing_keys(path)) == (names, [])
    assert delete_keys(path, keys) == names


def test_at_most_ten_keys_are_deleted_at_a_time_as_the_store_demands(path):
    sizes, calls = [], key_store._ssm().meta.events
    calls.register("provide-client-params.ssm.DeleteParameters", lambda params, **_: sizes.append(len(params["Names"])), "sizes")
    delete_keys(path, [SigningKey.generate(now=utc_now())] * 21)
    calls.unregister("provide-client-params.ssm.DeleteParameters", unique_id="sizes")

    assert sizes == [10, 10, 1]


def test_the_keys_are_stored_as_secrets(path):
    ensure_keys(path)
    found = boto3.client("ssm").get_parameters_by_path(Path=path, Recursive=True)["Parameters"]

    assert {parameter["Type"] for parameter in found} == {"SecureString"}


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"kid": "a", "pem": "x", "created_at": "2026-01-01"}'])
def test_a_broken_key_is_unavailable(path, text):
    ensure_keys(path)
    boto3.client("ssm").put_parameter(Name=f"{path}/signing/x", Value=text or " ", Type="SecureString")

    with pytest.raises(Unavailable):
        load(path)


def test_a_store_that_does_not_answer_is_unavailable(path, monkeypatch):
    from botocore.config import Config

    config = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1})
    unreachable = boto3.client("ssm", endpoint_url="http://127.0.0.1:9", config=config)
    monkeypatch.setattr(key_store, "_ssm", lambda: unreachable)

    with pytest.raises(Unavailable):
        load(path)


def test_a_store_that_refuses_is_unavailable():
    with pytest.raises(Unavailable):
        load("no path")


def test_the_encryption_key_is_created_once(path):
    ensure_keys(path)
    key = load_encryption_key(path)
    ensure_keys(path)

    assert (len(key), load_encryption_key(path)) == (32, key)


def test_a_missing_encryption_key_is_unavailable(path):
    with pytest.raises(Unavailable):
        load_encryption_key(path)
