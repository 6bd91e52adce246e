"""Files in S3, and the translation of S3's errors."""

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
    """Return a store whose S3 raises this error or returns this response."""

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


def test_a_stored_file_is_read_back_with_its_type(store):
    store.put("a/1", io.BytesIO(b"one"), media_type="text/plain")

    assert (store.read("a/1"), store.media_type("a/1")) == (b"one", "text/plain")


def test_an_open_file_has_a_size_and_is_read_in_chunks(store):
    store.put("a/large", bytes(3 << 19), media_type="text/plain")
    with store.opened("a/large") as file:
        assert (file.size, [len(chunk) for chunk in file.chunks]) == (3 << 19, [1 << 20, 1 << 19])


def test_deleting_a_missing_file_is_not_an_error(store):
    store.put("a/2", b"two", media_type="text/plain")
    store.delete("a/2")
    store.delete("a/2")

    with pytest.raises(FileMissing):
        store.read("a/2")


def test_deleting_a_prefix_deletes_nothing_else(store, bucket):
    for key in ("b/1", "b/2", "bb/1"):
        store.put(key, b"", media_type="text/plain")
    count = store.delete_under("b/")

    assert (count, [found.key for found in boto3.resource("s3").Bucket(bucket).objects.filter(Prefix="b")]) == (2, ["bb/1"])


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("code", ["NoSuchKey", "404", "403", "AccessDenied"])
def test_a_missing_file_is_missing_even_without_the_right_to_list(refusing, read, code):
    with pytest.raises(FileMissing):
        read(refusing(refusal(code)))


@pytest.mark.parametrize("call", [*READERS, *WRITERS])
@pytest.mark.parametrize("exc", [refusal("SlowDown"), EndpointConnectionError(endpoint_url="https://s3.example.com")])
def test_a_store_that_does_not_respond_is_unavailable(refusing, call, exc):
    with pytest.raises(Unavailable):
        call(refusing(exc))


@pytest.mark.parametrize("write", WRITERS)
def test_a_refused_write_is_unavailable_and_not_a_missing_file(refusing, write):
    with pytest.raises(Unavailable):
        write(refusing(refusal("AccessDenied")))


def test_an_undeleted_file_in_a_response_of_200_is_an_error(refusing):
    answer = {"Contents": [{"Key": "x"}], "IsTruncated": False, "Errors": [{"Code": "InternalError"}]}

    with pytest.raises(Unavailable, match="InternalError"):
        refusing(answer).delete_under("x")


@pytest.mark.parametrize("made", ["signed_url", "upload"])
def test_a_signed_url_names_its_region_because_a_redirect_breaks_the_signature(monkeypatch, made):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-south-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(s3, "_client", s3._client.__wrapped__)
    store = FileStore("a-bucket")
    url = store.signed_url("x", lifetime_s=60) if made == "signed_url" else store.upload("x", media_type="a/b", size=1, lifetime_s=60).url

    assert urlsplit(url).netloc == "a-bucket.s3.eu-south-1.amazonaws.com"


def test_a_signed_url_expires_after_its_lifetime(store):
    assert parse_qs(urlsplit(store.signed_url("x", lifetime_s=77)).query)["X-Amz-Expires"] == ["77"]


def test_each_store_has_its_own_read_timeout(bucket):
    patience = [FileStore(bucket, read_timeout_s=wait_s)._s3().meta.config.read_timeout for wait_s in (5.0, 9.0)]

    assert patience == [5.0, 9.0]
