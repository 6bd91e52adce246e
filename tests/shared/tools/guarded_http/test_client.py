"""The limits of a fetch, and the targets of redirects."""

import asyncio
import ssl

import httpx2
import pytest

from parley.tools.guarded_http import transport
from parley.tools.guarded_http.client import GuardedHttp
from parley.tools.guarded_http.egress_filter import EgressFilter
from parley.tools.guarded_http.errors import AddressRefused, FetchFailed
from parley.tools.guarded_http.transport import AsyncGuardedTransport
from tests.shared.tools.guarded_http.conftest import running_canary


@pytest.fixture
def http(canary):
    """A client that may reach the canary under one host name."""
    return GuardedHttp([f"nest.example:{canary.port}"], resolve=lambda host, port: ["127.0.0.1"])


@pytest.fixture
def nest(canary):
    return f"http://nest.example:{canary.port}"


@pytest.mark.parametrize(
    "there",
    [
        "http://127.0.0.1:{port}/",
        "http://other.example:{port}/",
        "//[::ffff:127.0.0.1]:{port}/",
        "http://2130706433:{port}/",
        "http://a@nest.example:{port}/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
    ],
)
def test_a_redirect_is_checked_like_an_address(http, nest, canary, there):
    with pytest.raises(FetchFailed):
        http.get(f"{nest}/to/{there.replace('{port}', str(canary.port))}")

    assert len(canary.hits) == 1


def test_three_redirects_are_followed_and_a_fourth_is_not(http, nest):
    assert http.get(f"{nest}/hops/3").body == b"tweet"
    with pytest.raises(FetchFailed, match="more than 3 times"):
        http.get(f"{nest}/hops/4")


def test_a_caller_may_forbid_every_redirect(http, nest, canary):
    assert http.get(f"{nest}/hops/0", max_redirects=0).body == b"tweet"
    with pytest.raises(FetchFailed, match=r"^The address redirects\.$"):
        http.get(f"{nest}/hops/1", max_redirects=0)

    assert len(canary.hits) == 2


def test_the_certificates_of_the_system_are_read_once(http, nest, monkeypatch):
    read = []
    http.get(f"{nest}/plain/")
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_: read.append("certificates"))
    http.get(f"{nest}/plain/")

    assert read == []


def test_an_address_has_4096_letters_at_most(http, nest, canary):
    address = f"{nest}/plain/".ljust(4_096, "x")

    assert http.get(address).body == b"tweet"
    with pytest.raises(AddressRefused):
        http.get(f"{address}x")
    assert len(canary.hits) == 1


def test_headers_are_sent_to_their_origin_only(nest, canary):
    with running_canary() as other:
        allowed = [f"nest.example:{canary.port}", f"other.example:{other.port}"]
        http = GuardedHttp(allowed, resolve=lambda host, port: ["127.0.0.1"])
        http.get(f"{nest}/to/http://other.example:{other.port}/", headers={"X-Key": "secret"})

        assert [headers.get("x-key") for _, headers in [*canary.hits, *other.hits]] == ["secret", None]


def test_headers_of_an_https_address_are_not_sent_in_the_clear_to_the_same_host(monkeypatch):
    seen = []

    def respond(request):
        seen.append((request.url.scheme, request.headers.get("x-key")))
        return (
            httpx2.Response(302, headers={"Location": "http://nest.example/"})
            if len(seen) == 1
            else httpx2.Response(200, content=iter([b"tweet"]))
        )

    monkeypatch.setattr(transport, "GuardedTransport", lambda *_: httpx2.MockTransport(respond))
    GuardedHttp().get("https://nest.example/", headers={"X-Key": "secret"})

    assert seen == [("https", "secret"), ("http", None)]


@pytest.mark.parametrize("path", ["large/5000001", "endless/", "bomb/50000000"])
def test_more_than_five_megabytes_are_refused_compressed_or_plain(http, nest, path):
    with pytest.raises(FetchFailed, match="larger than 5 MB"):
        http.get(f"{nest}/{path}")


@pytest.mark.parametrize("path", ["large/5000000", "bomb/5000000"])
def test_five_megabytes_are_accepted(http, nest, path):
    assert len(http.get(f"{nest}/{path}").body) == 5_000_000


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip", "gzip, gzip"])
def test_an_undecodable_response_is_a_failed_fetch(http, nest, encoding):
    with pytest.raises(FetchFailed):
        http.get(f"{nest}/packed/{encoding}")


def test_a_response_that_drips_ends_at_the_deadline(http, nest, canary):
    with pytest.raises(FetchFailed, match=r"longer than 1 seconds|in time"):
        http.get(f"{nest}/drips/", timeout_s=1)

    assert len(canary.hits) == 1


def test_an_unreachable_server_is_a_failed_fetch(http):
    with pytest.raises(FetchFailed):
        GuardedHttp(["nest.example:1"], resolve=lambda host, port: ["127.0.0.1"]).get("http://nest.example:1/")


def test_the_client_encodes_the_query(http, nest, canary):
    http.get(f"{nest}/find", params={"name": "São & Co"})

    assert canary.hits[0][0] == "/find?name=S%C3%A3o+%26+Co"


def test_a_response_that_is_not_json_is_a_failed_fetch(http, nest):
    with pytest.raises(FetchFailed, match="not JSON"):
        http.get(nest).json()


def test_the_asyncio_transport_uses_the_same_filter(canary):
    async def get(allowed):
        transport = AsyncGuardedTransport(EgressFilter(allowed, resolve=lambda host, port: ["127.0.0.1"]))
        async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
            return (await client.get(f"http://nest.example:{canary.port}/")).text

    with pytest.raises(AddressRefused):
        asyncio.run(get([]))
    assert canary.hits == []
    assert asyncio.run(get([f"nest.example:{canary.port}"])) == "tweet"


def test_a_form_is_sent_to_its_own_address_only(http, nest, canary):
    answer = http.post_form(f"{nest}/to/{nest}/", {"secret": "s"})

    assert (answer.status, len(canary.hits)) == (302, 1)


def test_a_form_reaches_no_address_that_is_not_admitted(http, canary):
    with pytest.raises(AddressRefused):
        http.post_form(f"http://127.0.0.1:{canary.port}/", {"secret": "s"})

    assert canary.hits == []


def test_a_post_is_checked_like_a_get_and_follows_no_redirect(http, nest, canary):
    moved = http.post_json(f"{nest}/to/{nest}/plain", {"query": "x"})
    with pytest.raises(AddressRefused):
        http.post_json(f"http://127.0.0.1:{canary.port}/", {"query": "x"})

    assert (moved.status, len(canary.hits)) == (302, 1)
