"""Hostile strings in every parameter, header and field of every route: `make security`.

Not part of `make test`, because it sends some twenty thousand requests. The routes come from the OpenAPI document, so new ones are
covered automatically.
"""

import io
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from parley.ids import new_id
from parley.observability import logger
from tests.conftest import ROOT
from tests.contract.object_makers import MAKERS_BY_COLLECTION
from tests.contract.operations import DOCUMENT, Operation, filled, operations
from tests.functions.auth.scim.provider import Provider
from tests.support.api_gateway import PASSWORD, Answer, Function, Person

MARK = "mark7c1f"
SLEEP_S = 20
ATTACKS = {
    "a quote": f"{MARK}'",
    "a double quote": f'{MARK}"',
    "a condition": f"{MARK}' OR '1'='1",
    "a numeric condition": "0 OR 1=1",
    "a union": f"{MARK}' UNION SELECT password_hash FROM credentials --",
    "a second statement": f"{MARK}'; DELETE FROM memories; --",
    "a sleep": f"{MARK}' || pg_sleep({SLEEP_S}) --",
    "a sleep in dollar quotes": f"$$; SELECT pg_sleep({SLEEP_S}); --",
    "a cast": f"{MARK}'::int",
    "a wildcard": "%_\\",
    "a placeholder": "%s %(user_id)s :user_id $1 {0.__class__}",
    "a template": "{{7*7}} ${7*7} <%= 7*7 %> #{7*7}",
    "a lookup": "${jndi:ldap://127.0.0.1:9/a}",
    "a shell command": f"; sleep {SLEEP_S} # $(sleep {SLEEP_S}) `sleep {SLEEP_S}` | sleep {SLEEP_S}",
    "a path": "../../../../../../etc/passwd",
    "an encoded path": "..%2f..%2f..%2fetc%2fpasswd%00.png",
    "a file address": "file:///etc/passwd",
    "a metadata address": "http://169.254.169.254/latest/meta-data/iam/",
    "a header": f"{MARK}\r\nX-Injected: yes\r\n\r\n<script>",
    "a mail header": "victim@example.com\nBcc: other@example.com",
    "a zero byte": f"{MARK}\0{MARK}",
    "a lone surrogate": f"{MARK}\ud800",
    "a changed direction": f"{MARK}\u202e\u2066\ufeff",
    "a script": "<script>alert(1)</script>",
    "an image": '"><img src=x onerror=alert(1)>',
    "a script address": "javascript:alert(1)",
    "a prototype": "__proto__",
    "an operator": '{"$ne": null}',
    "an entity": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    "a directory filter": "*)(uid=*))(|(uid=*",
    "a formula": "=cmd|' /C calc'!A0",
    "a backtracking text": "a" * 5_000 + "!",
    "combining letters": "Z" + "\u0301" * 2_000,
    "a long number": "9" * 400,
    "an infinite number": "1e999",
    "not a number": "NaN",
    "a negative number": "-1",
    "the empty text": "",
    "blanks": " \t\n",
}
# `make security NAUGHTY=515` also sends all strings of the Big List of Naughty Strings everywhere; fewer are spread over the list.
NAUGHTY = json.loads((ROOT / "tests" / "data" / "naughty-strings" / "blns.json").read_text())
NAUGHTY_STEP = max(len(NAUGHTY) // max(int(os.environ.get("PARLEY_TEST_NAUGHTY", "0")), 1), 1)
if "PARLEY_TEST_NAUGHTY" in os.environ:
    ATTACKS |= {f"naughty string {number}": NAUGHTY[number] for number in range(0, len(NAUGHTY), NAUGHTY_STEP)}
# Words of a database, an interpreter or a file that no client should see.
INSIDE = ("syntax error at", "psycopg", "sqlalchemy", "Traceback", "UndefinedTable", "pg_catalog", "root:x:0:0", "$argon2id$")
HEADERS = ("User-Agent", "Accept-Language", "Origin", "X-Forwarded-For", "X-Request-Id", "X-Amzn-Trace-Id")
# The functions behind these answer 502 or 503 for a server that the request names and that does not exist.
REACHES_OUT = {"POST /tools/mcp-servers", "POST /tools/mcp-servers/{id}/refresh", "POST /mcp"}
OPERATIONS = [one for one in operations() if str(one) != "POST /documents"]  # a form; tests/functions/documents/test_hostile_names.py
# How the provider makes an object for these routes.
PROVISIONED = {"/scim/v2/Users/{id}": Provider.create, "/scim/v2/Groups/{id}": Provider.create_group}
ROWS = """
SELECT table_name FROM information_schema.columns
 WHERE table_schema = 'public' AND column_name = 'user_id' AND table_name <> 'audit_events' ORDER BY 1
"""


@dataclass(frozen=True)
class Attack:
    """A request with a hostile string in one place."""

    place: str
    url: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Lane:
    """The log lines of the whole lane, the people who called, and the tokens of the identity provider."""

    log: io.StringIO
    people: list[Person] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def lane() -> Iterator[Lane]:
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(logger.registered_formatter)
    logger.addHandler(handler)
    yield Lane(handler.stream)
    logger.removeHandler(handler)


@pytest.fixture(scope="module")
def functions(request) -> dict[str, Function]:
    return {tag["name"]: request.getfixturevalue(tag["name"]) for tag in DOCUMENT["tags"]}


@pytest.fixture(scope="module")
def victim(functions) -> Person:
    """A user with an object of every kind."""
    person = Person.registered(functions["auth"])
    for maker in MAKERS_BY_COLLECTION.values():
        maker(functions, person)
    return person


def attacks_on(operation: Operation, text: str, object_id: Callable[[], str]) -> Iterator[Attack]:
    """Yield a request for each place of the operation: a variable of the path, a query parameter, a header, and a field of the body.

    `object_id` returns the id that each of the others puts into the path.
    """
    example = operation.example()
    quoted = quote(text, safe="", errors="surrogatepass")
    if operation.has_path_id:
        yield Attack("path", operation.url(quoted), example)
    for name in operation.query:
        others = {needed: "secret" for needed in operation.needed if needed != name}
        query = "&".join([f"{name}={quoted}", urlencode(others)]).rstrip("&")
        yield Attack(f"query {name}", f"{operation.path.replace('{id}', object_id())}?{query}", example)
    if text.isprintable() and text.isascii() and text:
        yield Attack("headers", operation.url(object_id()), example, dict.fromkeys(HEADERS, text))
        for name in headers_of(operation):
            yield Attack(f"header {name}", operation.url(object_id()), example, {name: text})
    for name, schema in (operation.body or {}).get("properties", {}).items():
        inner = filled(schema, text)
        for value in [text] if inner == text else [text, inner]:
            yield Attack(f"field {name}", operation.url(object_id()), {**(example or {}), name: value})
    if operation.body is not None:
        yield Attack("field name", operation.url(object_id()), {**(example or {}), text: text})
        yield Attack("body", operation.url(object_id()), text.encode("utf-8", "replace"))


def headers_of(operation: Operation) -> list[str]:
    """Return the headers that the document describes."""
    found = DOCUMENT["paths"][operation.path][operation.method.lower()].get("parameters", ())
    return [one["name"] for one in found if one["in"] == "header"]


def problems(answer: Answer, elapsed_s: float, *, reaches_out: bool, foreign: Sequence[str] = ()) -> list[str]:
    """Return what is wrong with the response to an attack. `foreign` are texts of another user."""
    text = answer.body.decode("utf-8", "replace")
    found = [f"shows {word!r}" for word in (*INSIDE, *foreign) if word in text]
    if answer.status >= 500 and not (reaches_out and answer.status in (502, 503)):
        found.append(f"answers {answer.status}: {text[:200]}")
    if any("\r" in value or "\n" in value for value in answer.headers.values()) or "x-injected" in answer.headers:
        found.append("sets a header")
    if "html" in answer.headers.get("content-type", "") and ("<script>alert" in text or "<img src=x" in text):
        found.append("is a page with the script")
    return found + ["sleeps"] * (elapsed_s > SLEEP_S)


class Attacker:
    """Sends requests as a user or an admin, or as the identity provider; a new user registers when a request has ended the session."""

    def __init__(
        self, functions: dict[str, Function], lane: Lane, make_admin: Any, operation: Operation, victim: Person, postgres: Any
    ) -> None:
        self._functions, self._lane, self._make_admin, self._operation = functions, lane, make_admin, operation
        self._is_provider = operation.path.startswith("/scim/")
        # An admin sees every user, and so does the provider.
        self._foreign = () if operation.is_admins or self._is_provider else (victim.email, str(victim.id))
        self._person: Person | None = None
        self._postgres = postgres
        self._provider_headers: dict[str, str] = {}
        self._object_id: str | None = None
        self.statuses: set[int] = set()

    def send(self, attack: Attack) -> list[str]:
        """Send the request and return what is wrong with the response."""
        began_s = time.monotonic()
        person = self._caller() if self._operation.is_guarded and not self._is_provider else None
        headers = {"X-Forwarded-For": "192.0.2.7", **self._proof(), **attack.headers}
        function = self._functions[self._operation.function]
        answer = function.call(self._operation.method, attack.url, attack.body, as_=person, headers=headers)
        self.statuses.add(answer.status)
        if answer.status in (204, 404):
            self._object_id = None
        if answer.status == 401 or self._operation.path in ("/auth/logout", "/auth/logout-all"):
            self._person = None
        reaches_out = str(self._operation) in REACHES_OUT
        return problems(answer, time.monotonic() - began_s, reaches_out=reaches_out, foreign=self._foreign)

    def object_id(self) -> str:
        """Return the id of an object that exists, for the provider's users and groups, or else an id of nothing."""
        if self._operation.path not in PROVISIONED:
            return str(new_id())
        if self._object_id is None:
            provider = Provider(self._functions["auth"], self._proof()["Authorization"].removeprefix("Bearer "))
            made = PROVISIONED[self._operation.path](provider, f"{new_id().hex}@example.com")
            self._object_id = str(made["id"])
        return self._object_id

    def _proof(self) -> dict[str, str]:
        """Return the header with the token of the identity provider, if the operation takes it. Its rate limit begins anew."""
        if self._is_provider:
            self._postgres.execute("DELETE FROM guesses")
        if self._is_provider and not self._provider_headers:
            admin = self._make_admin(Person.registered(self._functions["auth"]))
            self._lane.people.append(admin)
            token = self._functions["auth"].post("/admin/scim-token", as_=admin).json["token"]
            self._lane.secrets.append(token)
            self._provider_headers = {"Authorization": f"Bearer {token}"}
        return self._provider_headers

    def _caller(self) -> Person:
        if self._person is None:
            person = Person.registered(self._functions["auth"])
            self._person = self._make_admin(person) if self._operation.is_admins else person
            self._lane.people.append(self._person)
        return self._person


def rows_of(person: Person, postgres: Any) -> dict[str, int]:
    tables = [name for (name,) in postgres.execute(ROWS)]
    return {name: postgres.execute(f"SELECT count(*) FROM {name} WHERE user_id = '{person.id}'")[0][0] for name in tables}


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_no_hostile_string_breaks_a_route_or_shows_its_inside(functions, lane, make_admin, victim, postgres, operation):
    attacker, before, found = Attacker(functions, lane, make_admin, operation, victim, postgres), rows_of(victim, postgres), {}
    for name, text in ATTACKS.items():
        for attack in attacks_on(operation, text, attacker.object_id):
            if wrong := attacker.send(attack):
                found[f"{name} in {attack.place}"] = wrong

    assert found == {}
    assert attacker.statuses - {401, 403, 429}
    assert rows_of(victim, postgres) == before


def test_no_attack_and_no_secret_reached_a_log_line(lane, environment):
    lines = lane.log.getvalue().splitlines()
    tokens = [value for person in lane.people for name, value in person.tokens.items() if name.endswith("_token")]
    secrets = [MARK, "169.254.169.254", "alert(1)", PASSWORD, *tokens, *lane.secrets, *(person.email for person in lane.people)]

    assert lines
    assert tokens
    assert [line[:300] for line in lines if any(secret in line for secret in secrets)] == []


def test_the_lane_notices_a_route_that_breaks():
    shown = Answer(500, {"content-type": "text/html", "x-a": "b\r\nc"}, b"syntax error at or near <script>alert(1)</script>")

    assert len(problems(shown, SLEEP_S + 1, reaches_out=False)) == 5
    assert problems(replace(shown, status=422, headers={}, body=b"{}"), 0.1, reaches_out=False) == []
