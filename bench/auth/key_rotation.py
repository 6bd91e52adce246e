"""Rotate the signing keys under 200 requests per second: `python -m bench.auth.key_rotation`.

Exits with 1 if a request was refused, or if the requests took longer than they should. A new key is published at once and signs after
two minutes, so the traffic lasts longer than that. Each client renews its session every few seconds: the tokens in use are of every age
and, after the two minutes, of both keys. Every fourth request is one for the account, which reads the database; the others ask for the
models, whose function has little to do but to accept the token, so that two processors reach the rate.
"""

import argparse
import http.client
import json
import secrets
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jwt

from bench.harness.servers import HOST, Server, ServerFailed, call
from bench.harness.stack import PASSWORD, running_parley

CLIENTS = 16
REQUESTS_PER_RENEWAL = 100
PATHS = ("/models", "/models", "/models", "/auth/me")
# Of the requests of the whole time; the stack must keep up with the rate.
MIN_SHARE = 0.95


@dataclass
class Traffic:
    """How often the clients received each status, the ids of the keys that signed the tokens of accepted requests, and the time taken."""

    statuses: Counter[int] = field(default_factory=Counter)
    signed_by: set[str] = field(default_factory=set)
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        """The requests per second. Clients that fall behind send all of their requests, only later."""
        return sum(self.statuses.values()) / self.seconds

    def count(self, status: int, tokens: dict[str, str]) -> None:
        """Count a response to a client with these tokens."""
        self.statuses[status] += 1
        if status == 200:
            self.signed_by.add(str(jwt.get_unverified_header(tokens["access_token"])["kid"]))


def run(*, rate: float, seconds: float) -> Traffic:
    """Send requests at this rate, rotate after five seconds, and return what the clients received."""
    traffic = Traffic()
    with TemporaryDirectory(prefix="parley-bench-") as name, running_parley(Path(name)) as server:
        sessions = [_session(server) for _ in range(CLIENTS)]
        arguments = [(server, session, traffic, rate / CLIENTS, seconds) for session in sessions]
        clients = [threading.Thread(target=_client, args=given, daemon=True) for given in arguments]
        begun_s = time.monotonic()
        for client in clients:
            client.start()
        time.sleep(5)
        _rotate(server)
        for client in clients:
            client.join()
        traffic.seconds = time.monotonic() - begun_s
    return traffic


def _session(server: Server) -> dict[str, str]:
    body = {"email": f"{secrets.token_hex(8)}@example.com", "password": PASSWORD}
    status, tokens = call(server, "POST", "/auth/register", body)
    if status != 201:
        raise ServerFailed(f"register failed with status {status}")
    return dict(tokens)


def _rotate(server: Server) -> None:
    command = [sys.executable, "-m", "cli", "keys", "rotate", "--port", str(server.port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(f"the rotation failed: {done.stderr}")


def _client(server: Server, tokens: dict[str, str], traffic: Traffic, rate: float, seconds: float) -> None:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=30)
    begun_s, number = time.monotonic(), 0
    while (due_s := number / rate) < seconds:
        time.sleep(max(begun_s + due_s - time.monotonic(), 0))
        if number % REQUESTS_PER_RENEWAL == 0:
            status, renewed = _send(connection, "POST", "/auth/refresh", body={"refresh_token": tokens["refresh_token"]})
            tokens = renewed if status == 200 else tokens
            traffic.count(status, tokens)
        status, _ = _send(connection, "GET", PATHS[number % len(PATHS)], token=tokens["access_token"])
        traffic.count(status, tokens)
        number += 1
    connection.close()


def _send(connection: http.client.HTTPConnection, method: str, path: str, *, body: Any = None, token: str = "") -> tuple[int, Any]:
    """Return the status and the decoded body; the status is 0 if the connection broke."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0, {}


def main() -> str | None:
    """Print what the clients received, and return what was wrong with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0, help="requests per second")
    parser.add_argument("--seconds", type=float, default=180.0)
    args = parser.parse_args()
    traffic = run(rate=args.rate, seconds=args.seconds)
    print(f"{traffic.per_second:.0f} requests per second; statuses {dict(traffic.statuses)}; keys {sorted(traffic.signed_by)}")
    return failure_of(traffic, rate=args.rate)


def failure_of(traffic: Traffic, *, rate: float) -> str | None:
    """Return what was wrong with the traffic, None if nothing was."""
    if set(traffic.statuses) != {200}:
        return "requests were refused during the rotation"
    if len(traffic.signed_by) < 2:
        return "the new key signed nothing: take more --seconds"
    return None if traffic.per_second >= rate * MIN_SHARE else "this machine is too slow for the rate"


if __name__ == "__main__":
    sys.exit(main())
