"""Users' files: what S3 is asked for, and what its refusals are called."""

import io
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError

from parley.aws import s3
from parley.aws.s3 import FileMissing, FileStore
from parley.errors import Unavailable
from tests.conftest import make_bucket


@pytest.fixture(scope="module")
def bucket(aws):
    return make_bucket("parley-test-file-store")


@pytest.fixture
def store(bucket):
    return FileStore(bucket)


@pytest.fixture
def refusing(store, monkeypatch):
    """A store whose S3 raises this, or answers it."""

    def refusing(outcome):
        def call(*_):
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(BaseClient, "_make_api_call", call)
        return store

    return refusing


def refusal(code):
    return ClientError({"Error": {"Code": code}}, "GetObject")


READERS = [lambda store: store.read("x"), lambda store: store.media_type("x")]
WRITERS = [
    lambda store: store.put("x", b"", media_type="text/plain"),
    lambda store: store.delete("x"),
    lambda store: store.delete_under("x"),
]


def test_what_is_put_is_read_again_with_its_type(store):
    store.put("a/1", io.BytesIO(b"one"), media_type="text/plain")

    assert (store.read("a/1"), store.media_type("a/1")) == (b"one", "text/plain")


def test_an_open_file_tells_its_size_and_comes_in_pieces(store):
    store.put("a/large", bytes(3 << 19), media_type="text/plain")
    with store.opened("a/large") as file:
        assert (file.size, [len(chunk) for chunk in file.chunks]) == (3 << 19, [1 << 20, 1 << 19])


def test_a_file_that_is_gone_is_deleted_without_a_word(store):
    store.put("a/2", b"two", media_type="text/plain")
    store.delete("a/2")
    store.delete("a/2")

    with pytest.raises(FileMissing):
        store.read("a/2")


def test_all_under_a_prefix_goes_and_nothing_else(store, bucket):
    for key in ("b/1", "b/2", "bb/1"):
        store.put(key, b"", media_type="text/plain")
    count = store.delete_under("b/")

    assert (count, [found.key for found in boto3.resource("s3").Bucket(bucket).objects.filter(Prefix="b")]) == (2, ["bb/1"])


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("code", ["NoSuchKey", "404", "403", "AccessDenied"])
def test_without_the_right_to_list_a_file_that_is_not_there_may_not_be_read_either(refusing, read, code):
    with pytest.raises(FileMissing):
        read(refusing(refusal(code)))


@pytest.mark.parametrize("call", [*READERS, *WRITERS])
@pytest.mark.parametrize("exc", [refusal("SlowDown"), EndpointConnectionError(endpoint_url="https://s3.example.com")])
def test_a_store_that_does_not_answer_is_unavailable(refusing, call, exc):
    with pytest.raises(Unavailable):
        call(refusing(exc))


@pytest.mark.parametrize("write", WRITERS)
def test_who_may_not_write_is_not_told_that_a_file_is_missing(refusing, write):
    with pytest.raises(Unavailable):
        write(refusing(refusal("AccessDenied")))


def test_a_file_that_an_answer_of_200_says_was_left_is_no_success(refusing):
    answer = {"Contents": [{"Key": "x"}], "IsTruncated": False, "Errors": [{"Code": "InternalError"}]}

    with pytest.raises(Unavailable, match="InternalError"):
        refusing(answer).delete_under("x")


@pytest.mark.parametrize("made", ["signed_url", "upload"])
def test_a_signed_address_names_its_region_since_a_redirect_would_break_the_signature(monkeypatch, made):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-south-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(s3, "_client", s3._client.__wrapped__)
    store = FileStore("a-bucket")
    url = store.signed_url("x", lifetime_s=60) if made == "signed_url" else store.upload("x", media_type="a/b", size=1, lifetime_s=60).url

    assert urlsplit(url).netloc == "a-bucket.s3.eu-south-1.amazonaws.com"


def test_a_signed_address_ends_when_it_was_said_to(store):
    assert parse_qs(urlsplit(store.signed_url("x", lifetime_s=77)).query)["X-Amz-Expires"] == ["77"]


def test_each_waits_for_s3_as_long_as_it_said(bucket):
    patience = [FileStore(bucket, read_timeout_s=wait_s)._s3().meta.config.read_timeout for wait_s in (5.0, 9.0)]

    assert patience == [5.0, 9.0]
