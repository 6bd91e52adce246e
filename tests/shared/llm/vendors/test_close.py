"""Closing a stream from another thread under TLS, and the connections that it leaves open."""

import threading

import pytest

from parley.llm.messages import Message, ModelRequest
from tests.fakes.tls_postgres import Authority
from tests.fakes.vendor import keeps_alive, running_vendor
from tests.fakes.wire_formats.anthropic import ANTHROPIC
from tests.fakes.wire_formats.chat import OPENAI

ASK = ModelRequest([Message("user", "hi")])


@pytest.fixture
def tls_vendor(tmp_path, monkeypatch):
    authority = Authority("vendor authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.write(tmp_path / "ca.pem")))
    with running_vendor(certificate=authority.issue("localhost", folder=tmp_path)) as running:
        yield running


@pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC], ids=lambda wire: wire.name)
@pytest.mark.parametrize("pieces_before", [0, 1])
def test_a_blocked_read_under_tls_ends(tls_vendor, wire, pieces_before):
    waiting, released, seen = threading.Event(), threading.Event(), []
    wire.plays(tls_vendor, wire.texts("Hel"), before=lambda index: index == pieces_before and (waiting.set(), released.wait(20)))
    answer = wire.provider(tls_vendor, timeout_s=30).stream("m", ASK)
    reader = threading.Thread(target=lambda: seen.extend(answer))
    reader.start()
    assert waiting.wait(10)
    answer.close()
    reader.join(5)
    is_stuck = reader.is_alive()
    released.set()

    assert not is_stuck


def test_closing_an_answer_that_has_ended_leaves_its_connection_to_the_next_call(vendor):
    vendor.script = keeps_alive("Hel", "lo")
    provider = OPENAI.provider(vendor)
    for _ in range(3):
        with provider.stream("m", ASK) as answer:
            assert len(list(answer)) == 3

    assert len({headers["x-peer-port"] for headers, _ in vendor.requests}) == 1


def test_a_stream_that_is_closed_before_it_begins_sends_no_request(vendor):
    answer = OPENAI.provider(vendor).stream("m", ASK)
    answer.close()

    assert list(answer) == []
    assert vendor.requests == []
