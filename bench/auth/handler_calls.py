"""Time the account functions' handlers, warm, in one process: `python -m bench.auth.handler_calls`.

Run by `bench.auth.accounts` with a worker's environment, so the database, the keys and the queue are the running stack's.
The events are those of `events/`. The answers are checked, and the times are printed as JSON.
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
        """Return the milliseconds of one call and its decoded body; another status than expected ends the run."""
        started = time.perf_counter()
        answer = self._handler(event, _CONTEXT)
        elapsed_ms = (time.perf_counter() - started) * 1000
        if answer["statusCode"] != expected:
            sys.exit(f"answered with {answer['statusCode']}: {answer['body']}")
        return elapsed_ms, json.loads(answer["body"])


def event_with_body(name: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the event of a file with another body."""
    found: dict[str, Any] = json.loads((_EVENTS / f"{name}.json").read_text())
    return found | {"body": json.dumps(body)}


def new_address() -> str:
    """Return an address that nobody has."""
    return f"{secrets.token_hex(8)}@example.com"


def time_logins_and_refreshes(rounds: int) -> dict[str, list[float]]:
    """Time logins, each beside one bare Argon2 verification, and refreshes."""
    auth, email = Handler("auth"), new_address()
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


def time_known_and_unknown(way: str, rounds: int) -> dict[str, list[float]]:
    """Time requests for addresses that have an account and for addresses that have none, turn about, in random order."""
    auth, (name, body, expected) = Handler("auth"), _ENUMERATION_REQUESTS[way]
    known = [new_address() for _ in range(rounds)]
    for email in known:
        _store_account(email)
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    for email in known:
        both = [("known", email), ("unknown", new_address())]
        for kind, asked in both if secrets.randbits(1) else both[::-1]:
            times[kind].append(auth.timed(event_with_body(name, body(asked)), expected=expected)[0])
    return times


def _store_account(email: str) -> None:
    """Make an account with one and the same hash: what is timed is the asking, not the registering."""
    users, transactions, ids = (importlib.import_module(f"parley.{name}") for name in ("db.accounts.users", "db.transactions", "ids"))
    services, user_id = importlib.import_module("functions.auth.app").services, ids.new_id()
    with transactions.user_scope(services.engine, user_id) as connection:
        users.add(connection, user_id, email=email, display_name=None, password_hash=_hash_once(services))


def _hash_once(services: Any) -> str:
    global _password_hash
    _password_hash = _password_hash or services.passwords.hash(PASSWORD)
    return _password_hash


def time_authorizer(token: str, rounds: int) -> dict[str, list[float]]:
    """Time the authorizer's verdict on a valid token."""
    handler = importlib.import_module("functions.authorizer.app").handler
    asked: dict[str, Any] = json.loads((_EVENTS / "authorizer_token.json").read_text())
    asked["headers"]["Authorization"] = f"Bearer {token}"
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        handler(asked, _CONTEXT)
        times.append((time.perf_counter() - started) * 1000)
    return {"authorizer": times[1:]}


def main() -> None:
    """Measure one of the three, and print the times after everything that the functions log."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["calls", "authorizations", *_ENUMERATION_REQUESTS])
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--token", default="")
    args = parser.parse_args()
    if args.what == "calls":
        found = time_logins_and_refreshes(args.rounds)
    elif args.what == "authorizations":
        found = time_authorizer(args.token, args.rounds)
    else:
        found = time_known_and_unknown(args.what, args.rounds)
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
