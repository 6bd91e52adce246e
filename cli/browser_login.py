"""A login in the browser: the server sends a code to a loopback address of this computer (RFC 8252), bound to it by PKCE."""

import base64
import hashlib
import secrets
import threading
import webbrowser
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import click

from cli.api import ApiClient
from cli.errors import CliError
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.output import one_line

TIMEOUT_S = 300.0
_PAGE = b"<!doctype html><meta charset=utf-8><title>Parley</title><p>Done. You can close this window and return to the terminal."


def log_in_by_browser(api: ApiClient, issuer: str) -> Fields:
    """Let the user sign in at an issuer, and return the server's answer with the tokens. An empty `issuer` is the only one."""
    id = _chosen(api, issuer)
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    with _Waiting() as waiting:
        query = urlencode({"redirect_uri": waiting.address, "code_challenge": challenge})
        url = f"{api.url}/auth/oidc/{id}/start?{query}"
        click.echo(f"Sign in in your browser. If it does not open, visit:\n{url}", err=True)
        webbrowser.open(url)
        code = waiting.code()
    return api.public(HttpCall("POST", "/auth/oidc/token", {"code": code, "code_verifier": verifier}))


def _chosen(api: ApiClient, wanted: str) -> str:
    found = [one.text("id") for one in api.public(HttpCall("GET", "/auth/oidc")).parts("issuers")]
    if not found:
        raise CliError(f"{api.url} knows no issuer to sign in with. Use a password: parley login")
    if wanted in found or (not wanted and len(found) == 1):
        return wanted or found[0]
    raise click.UsageError(f"Choose an issuer: --oidc {' or --oidc '.join(map(one_line, found))}")


@dataclass
class _Waiting:
    """A server on a loopback address that waits for one request of the browser. Its path is secret: other pages cannot guess it."""

    path: str = field(default_factory=lambda: f"/{secrets.token_urlsafe(16)}")
    received: dict[str, list[str]] = field(default_factory=dict)
    arrived: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "_Waiting":
        waiting = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                is_expected = parts.path == waiting.path
                self.send_response(200 if is_expected else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(_PAGE if is_expected else b"")
                if is_expected:
                    waiting.received = parse_qs(parts.query)
                    waiting.arrived.set()

            def log_message(self, *_: object) -> None:
                pass

        # With threads: browsers open spare connections without a request, each of which would keep a single thread waiting.
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        """The address to which the server sends the browser back."""
        return f"http://127.0.0.1:{self._server.server_port}{self.path}"

    def code(self) -> str:
        """Wait for the browser and return the code it brings. Raises `CliError`."""
        if not self.arrived.wait(TIMEOUT_S):
            raise CliError("The browser did not come back within five minutes. Try again: parley login --oidc")
        if "code" not in self.received:
            problem = one_line(self.received.get("error", ["no code"])[0])
            raise CliError(f"The sign-in failed: {problem}. Try again, or ask an admin.")
        return self.received["code"][0]
