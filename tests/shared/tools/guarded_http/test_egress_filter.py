"""Names are resolved once, and the connection uses the checked address."""

import asyncio
import ssl
import threading

import pytest

from parley.tools.guarded_http.client import GuardedHttp
from parley.tools.guarded_http.deadline import FetchDeadline
from parley.tools.guarded_http.egress_filter import EgressFilter
from parley.tools.guarded_http.errors import AddressRefused, FetchFailed
from parley.tools.guarded_http.transport import AsyncGuardedTransport, GuardedTransport

PUBLIC = "93.184.216.34"


class Rebinding:
    """A resolver that returns another address on each call."""

    def __init__(self, *answers):
        self.answers, self.calls = list(answers), 0

    def __call__(self, host, port):
        self.calls += 1
        return self.answers.pop(0)


class Recording:
    """A network backend that records connections and TLS host names and returns no data."""

    def __init__(self, *, unreachable=()):
        self.called, self.tls, self.unreachable = [], [], unreachable

    def connect_tcp(self, host, port, *rest):
        import httpcore2

        self.called.append((host, port))
        if host in self.unreachable:
            raise httpcore2.ConnectError("no route")
        return self

    def start_tls(self, context, server_hostname, timeout):
        self.tls.append((server_hostname, context.check_hostname, context.verify_mode))
        return self

    def get_extra_info(self, info):
        return None

    def write(self, data, timeout):
        import httpcore2

        raise httpcore2.WriteError("that is all")

    read = write

    def close(self): ...


@pytest.fixture
def network(monkeypatch):
    recording = Recording(unreachable={"2606:2800:21f:cb07::1"})
    plain = GuardedTransport.__init__

    def init(self, egress_filter, deadline):
        plain(self, egress_filter, deadline)
        self._pool._network_backend._inner = recording

    monkeypatch.setattr(GuardedTransport, "__init__", init)
    return recording


def test_the_connection_uses_the_checked_address(network):
    resolver = Rebinding([PUBLIC], ["127.0.0.1"])
    with pytest.raises(FetchFailed):
        GuardedHttp(resolve=resolver).get("http://rebind.example:8080/")

    assert (network.called, resolver.calls) == ([(PUBLIC, 8080)], 1)


def test_tls_is_verified_against_the_name_and_not_the_address(network):
    with pytest.raises(FetchFailed):
        GuardedHttp(resolve=Rebinding([PUBLIC])).get("https://site.example/")

    assert network.called == [(PUBLIC, 443)]
    assert network.tls == [("site.example", True, ssl.CERT_REQUIRED)]


def test_the_next_address_of_a_host_is_tried_if_one_is_unreachable(network):
    with pytest.raises(FetchFailed):
        GuardedHttp(resolve=Rebinding(["2606:2800:21f:cb07::1", PUBLIC])).get("http://two.example/")

    assert [host for host, _ in network.called] == ["2606:2800:21f:cb07::1", PUBLIC]


def test_an_address_that_answers_ends_the_search_however_many_follow(network):
    addresses = ["2606:2800:21f:cb07::1", PUBLIC, "93.184.216.35", "93.184.216.36"]
    with pytest.raises(FetchFailed):
        GuardedHttp(resolve=Rebinding(addresses)).get("http://four.example/")

    assert [host for host, _ in network.called] == addresses[:2]


class AsyncRecording(Recording):
    """The same for asyncio."""

    async def connect_tcp(self, host, port, *rest):
        return super().connect_tcp(host, port, *rest)


def test_the_next_of_several_addresses_is_tried_in_asyncio_too(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/absent.pem")
    addresses = ["2606:2800:21f:cb07::1", PUBLIC, "93.184.216.35"]
    backend = AsyncGuardedTransport(EgressFilter(resolve=Rebinding(addresses)))._pool._network_backend
    backend._inner = AsyncRecording(unreachable=addresses[:1])
    asyncio.run(backend.connect_tcp("three.example", 443))

    assert [host for host, _ in backend._inner.called] == addresses[:2]


def test_a_host_with_any_internal_address_is_refused(network):
    with pytest.raises(AddressRefused):
        GuardedHttp(resolve=Rebinding([PUBLIC, "10.0.0.1"])).get("http://mixed.example/")

    assert network.called == []


@pytest.mark.parametrize(("variable", "value"), [("HTTPS_PROXY", "http://127.0.0.1:3128"), ("SSL_CERT_FILE", "/absent.pem")])
def test_the_environments_proxy_and_certificates_are_not_used(network, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(FetchFailed):
        GuardedHttp(resolve=Rebinding([PUBLIC])).get("https://site.example/")

    assert network.called == [(PUBLIC, 443)]


def test_an_unknown_host_is_not_found():
    with pytest.raises(FetchFailed, match="was not found"):
        EgressFilter(resolve=lambda host, port: []).admit("nowhere.example", 80, timeout_s=1)


def test_a_resolver_that_hangs_is_abandoned_and_does_not_keep_its_process_alive():
    never, threads = threading.Event(), []

    def resolve(host, port):
        threads.append(threading.current_thread())
        never.wait(5)

    with pytest.raises(FetchFailed, match="was not found"):
        EgressFilter(resolve=resolve).admit("slow.example", 80, timeout_s=0.05)
    never.set()
    threads[0].join()

    assert threads[0].daemon


def test_an_allowed_host_may_have_any_address_on_its_port_only(canary):
    http = GuardedHttp([f"Stand-In.example:{canary.port}"], resolve=lambda host, port: ["127.0.0.1"])

    assert http.get(f"http://stand-in.example:{canary.port}/hello").body == b"tweet"
    with pytest.raises(AddressRefused):
        http.get("http://stand-in.example:9001/")
    assert [(path, headers["host"]) for path, headers in canary.hits] == [("/hello", f"stand-in.example:{canary.port}")]


def test_a_passed_deadline_allows_no_wait():
    with pytest.raises(FetchFailed, match="longer than 0 seconds"):
        FetchDeadline(0).left_s()


def test_a_refusal_does_not_reveal_the_resolved_address():
    with pytest.raises(AddressRefused) as refused:
        EgressFilter(resolve=lambda host, port: ["10.1.2.3"]).admit("inside.example", 80, timeout_s=1)

    assert "10.1.2.3" in str(refused.value)
    assert "10.1.2.3" not in refused.value.public_message
