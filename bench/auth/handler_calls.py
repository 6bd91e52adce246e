"""Time warm calls of the auth and authorizer handlers in one process: `python -m bench.auth.handler_calls`.

`bench.auth.accounts` runs this module with a worker's environment, so that the handlers use the running stack's database,
keys and queue. The events come from `events/`. Each response is checked, and the times are printed in milliseconds as JSON.
"""

import argparse
import importlib
import json
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PASSWORD = "a pass phrase for a benchmark"
_EVENTS = Path("events")

_CONTEXT = SimpleNamespace(
    function_name="bench",
    memory_limit_in_mb=1024,
    invoked_function_arn="arn",
    aws_request_id="bench",
    get_remaining_time_in_millis=lambda: 29_000,
)

_password_hash = ""

_ENUMERATION_REQUESTS: dict[str, tuple[str, Callable[[str], dict[str, Any]], int]] = {
    "login": ("auth_login", lambda email: {"email": email, "password": "not the pass phrase"}, 401),
    "register": ("auth_register", lambda email: {"email": email, "password": PASSWORD}, 202),
    "forgot": ("auth_forgot_password", lambda email: {"email": email}, 202),
}


class Handler:
    """A function's handler, called with events."""

    def __init__(self, function: str) -> None:
        self._handler = importlib.import_module(f"functions.{function}.app").handler

    def timed(self, event: dict[str, Any], *, expected: int) -> tuple[float, Any]:
        """Return the duration in milliseconds and the decoded body; exit on an unexpected status."""
        started = time.perf_counter()
        answer = self._handler(event, _CONTEXT)
        elapsed_ms = (time.perf_counter() - started) * 1000
        if answer["statusCode"] != expected:
            sys.exit(f"unexpected status {answer['statusCode']}: {answer['body']}")
        return elapsed_ms, json.loads(answer["body"])


def event_with_body(name: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the event in a file of `events/`, with its body replaced."""
    event: dict[str, Any] = json.loads((_EVENTS / f"{name}.json").read_text())
    return event | {"body": json.dumps(body)}


def new_address() -> str:
    """Return an unused e-mail address."""
    return f"{secrets.token_hex(8)}@example.com"


def time_logins_and_refreshes(rounds: int) -> dict[str, list[float]]:
    """Time refreshes, and logins interleaved with bare Argon2 verifications."""
    auth = Handler("auth")
    email = new_address()
    _, tokens = auth.timed(event_with_body("auth_register", {"email": email, "password": PASSWORD}), expected=201)
    passwords = importlib.import_module("functions.auth.app").services.passwords
    password_hash = passwords.hash(PASSWORD)
    times: dict[str, list[float]] = {"login": [], "verification": [], "refresh": []}
    for _ in range(rounds):
        times["login"].append(auth.timed(event_with_body("auth_login", {"email": email, "password": PASSWORD}), expected=200)[0])
        started = time.perf_counter()
        passwords.is_right(PASSWORD, password_hash)
        times["verification"].append((time.perf_counter() - started) * 1000)
        elapsed_ms, tokens = auth.timed(event_with_body("auth_refresh", {"refresh_token": tokens["refresh_token"]}), expected=200)
        times["refresh"].append(elapsed_ms)
    return times


def time_known_and_unknown(request: str, rounds: int) -> dict[str, list[float]]:
    """Time requests for known and for unknown addresses, interleaved in random order."""
    auth = Handler("auth")
    name, body, expected = _ENUMERATION_REQUESTS[request]
    known = [new_address() for _ in range(rounds)]
    for email in known:
        _store_account(email)
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    for email in known:
        both = [("known", email), ("unknown", new_address())]
        for kind, address in both if secrets.randbits(1) else both[::-1]:
            times[kind].append(auth.timed(event_with_body(name, body(address)), expected=expected)[0])
    return times


def _store_account(email: str) -> None:
    """Store an account directly. All accounts share one password hash, because computing a hash for each would take minutes."""
    users, transactions, ids = (importlib.import_module(f"parley.{name}") for name in ("db.accounts.users", "db.transactions", "ids"))
    services, user_id = importlib.import_module("functions.auth.app").services, ids.new_id()
    with transactions.user_scope(services.engine, user_id) as connection:
        users.add(connection, user_id, email=email, display_name=None, password_hash=_hash_once(services))


def _hash_once(services: Any) -> str:
    global _password_hash
    _password_hash = _password_hash or services.passwords.hash(PASSWORD)
    return _password_hash


def time_authorizer(token: str, rounds: int) -> dict[str, list[float]]:
    """Time the authorizer with a valid token."""
    handler = importlib.import_module("functions.authorizer.app").handler
    event: dict[str, Any] = json.loads((_EVENTS / "authorizer_token.json").read_text())
    event["headers"]["Authorization"] = f"Bearer {token}"
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        handler(event, _CONTEXT)
        times.append((time.perf_counter() - started) * 1000)
    return {"authorizer": times[1:]}


def main() -> None:
    """Run one measurement and print the times as the last line, after the functions' logs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("measurement", choices=["calls", "authorizations", *_ENUMERATION_REQUESTS])
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--token", default="")
    args = parser.parse_args()
    if args.measurement == "calls":
        times = time_logins_and_refreshes(args.rounds)
    elif args.measurement == "authorizations":
        times = time_authorizer(args.token, args.rounds)
    else:
        times = time_known_and_unknown(args.measurement, args.rounds)
    print("\n" + json.dumps(times))


if __name__ == "__main__":
    main()
