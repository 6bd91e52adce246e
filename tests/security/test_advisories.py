"""The comparison with advisories (`make security`), by the real npm client against a registry on loopback."""

import json
import shutil
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local.ports import free_port
from tests.conftest import ROOT
from tests.security.advisories import AuditFailed, NotAnswered, advisories

ADVISORY = {"id": 1, "url": "https://example.com/GHSA-1", "title": "t", "severity": "high", "cwe": [], "cvss": {"score": 8}}


class Registry(BaseHTTPRequestHandler):
    """Answers the question about advisories with `status` and `answer`, and knows nothing about any package."""

    status, answer = 200, {}

    def do_POST(self):
        self._reply(self.status, self.answer)

    def do_GET(self):
        self._reply(404, {"error": "not found"})

    def _reply(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def serving(monkeypatch, **replies):
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("ScriptedRegistry", (Registry,), replies))
    threading.Thread(target=server.serve_forever).start()
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def pins(tmp_path, monkeypatch):
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_an_advisory_on_a_pinned_package_is_found(pins, monkeypatch):
    version = json.loads((pins / "package.json").read_text())["dependencies"]["dompurify"]
    with serving(monkeypatch, answer={"dompurify": [ADVISORY | {"vulnerable_versions": f"<={version}"}]}):
        found = advisories(pins)

    assert [sentence.split()[0] for sentence in found] == ["dompurify"]
    assert found[0].endswith("(high): https://example.com/GHSA-1")


def test_without_an_advisory_nothing_is_found(pins, monkeypatch):
    with serving(monkeypatch):
        assert advisories(pins) == []


def test_a_registry_that_refuses_the_question_has_not_checked_anything(pins, monkeypatch):
    with serving(monkeypatch, status=405), pytest.raises(NotAnswered, match="405"):
        advisories(pins)


def test_a_registry_that_cannot_be_reached_has_not_checked_anything(pins, monkeypatch):
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{free_port()}/")
    with pytest.raises(NotAnswered, match="ECONNREFUSED"):
        advisories(pins)


def test_a_damaged_lock_file_fails_the_check(pins, monkeypatch):
    (pins / "package-lock.json").write_text("{")
    with serving(monkeypatch), pytest.raises(AuditFailed):
        advisories(pins)
