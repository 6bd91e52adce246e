import io
import json
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest

from functions.authorizer import jwks
from functions.authorizer.jwks import KeySource, jwks_url
from functions.authorizer.policy import policy_for
from parley.auth.access_tokens import issue_token
from parley.auth.principal import ADMIN_SCOPES, USER_SCOPES
from parley.auth.signing_keys import KeyRing, SigningKey
from parley.clock import utc_now
from parley.errors import Unavailable

KEY = SigningKey.generate(now=utc_now())
ARN = "arn:aws:execute-api:eu-west-1:123456789012:abc/prod/GET/auth/me"
STAGE = "arn:aws:execute-api:eu-west-1:123456789012:abc/prod"


@pytest.fixture
def handler(environment, monkeypatch, tmp_path):
    from functions.authorizer import app

    published = tmp_path / "jwks.json"
    published.write_text(json.dumps(KeyRing.of([KEY], refresh_secret=b"").jwks()))
    monkeypatch.setattr(app, "keys", KeySource(published.as_uri()))
    return app.handler


def event(header: str | None, *, name="Authorization"):
    headers = {name: header} if header is not None else {}
    return {"methodArn": ARN, "headers": headers, "requestContext": {"requestId": "r", "domainName": "x", "stage": "prod"}}


def token(scopes=USER_SCOPES, *, age=timedelta(0)):
    return issue_token(uuid4(), uuid4(), scopes, key=KEY, now=utc_now() - age)


def test_a_good_token_opens_the_whole_stage_but_not_the_admin_routes(handler):
    statements = handler(event(f"Bearer {token()}"), None)["policyDocument"]["Statement"]

    assert [(s["Effect"], s["Resource"]) for s in statements] == [("Allow", f"{STAGE}/*/*"), ("Deny", f"{STAGE}/*/admin/*")]


def test_an_admin_opens_those_too(handler):
    statements = handler(event(f"Bearer {token(ADMIN_SCOPES)}"), None)["policyDocument"]["Statement"]

    assert [s["Effect"] for s in statements] == ["Allow"]


def test_the_functions_are_told_who_calls_and_until_when(handler):
    context = handler(event(f"bearer {token()}", name="authorization"), None)["context"]

    assert set(context) == {"sub", "sid", "scope", "exp"}


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer x.y.z", "Basic dXNlcjpwYXNz", "Bearer " + "a" * 9000])
def test_anything_else_is_refused_in_the_gateways_own_word(handler, header):
    with pytest.raises(Exception, match="^Unauthorized$"):
        handler(event(header), None)


def test_an_expired_token_is_refused(handler):
    with pytest.raises(Exception, match="^Unauthorized$"):
        handler(event(f"Bearer {token(age=timedelta(hours=1))}"), None)


def test_a_good_token_under_another_scheme_is_refused(handler):
    with pytest.raises(Exception, match="^Unauthorized$"):
        handler(event(f"Basic {token()}"), None)


def test_a_good_token_is_not_called_bad_while_the_keys_cannot_be_had(handler, monkeypatch, tmp_path):
    monkeypatch.setattr("functions.authorizer.app.keys", KeySource((tmp_path / "nothing.json").as_uri()))

    with pytest.raises(Unavailable):
        handler(event(f"Bearer {token()}"), None)


def test_a_policy_names_this_stage_only():
    policy = policy_for({"sub": "u", "sid": "s", "scope": "chat", "exp": 1}, "arn:aws:execute-api:r:1:api/dev/POST/a/b/c")

    assert all(s["Resource"].startswith("arn:aws:execute-api:r:1:api/dev/") for s in policy["policyDocument"]["Statement"])


@pytest.mark.parametrize(
    ("domain", "url"),
    [
        ("abc.execute-api.eu-west-1.amazonaws.com", "https://abc.execute-api.eu-west-1.amazonaws.com/prod/.well-known/jwks.json"),
        ("api.example.com", "https://api.example.com/.well-known/jwks.json"),
    ],
)
def test_the_keys_are_looked_for_where_this_api_publishes_them(domain, url):
    assert jwks_url({"domainName": domain, "stage": "prod"}) == url


class Published:
    """A JWKS that counts how often it is fetched."""

    clock, takes_s = None, 0

    def __init__(self, monkeypatch):
        self.fetched, self.answer = 0, json.dumps(KeyRing.of([KEY], refresh_secret=b"").jwks()).encode()
        monkeypatch.setattr(jwks.urllib.request, "urlopen", self.open)

    def open(self, url, timeout):
        self.fetched += 1
        if self.clock:
            self.clock.now += self.takes_s
        if self.answer is None:
            raise OSError("down")
        return io.BytesIO(self.answer)


def test_known_keys_are_fetched_once(monkeypatch):
    published, source = Published(monkeypatch), KeySource("http://keys")
    [source.for_key_id(KEY.kid, {}) for _ in range(20)]

    assert published.fetched == 1


@pytest.fixture
def clock(monkeypatch):
    """Seconds that a test moves on."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(jwks.time, "monotonic", lambda: clock.now)
    return clock


def ask(source, kid="unknown"):
    with suppress(Unavailable):
        return source.for_key_id(kid, {})


def test_a_flood_of_unknown_keys_fetches_at_most_once_a_minute(monkeypatch, clock):
    published, source = Published(monkeypatch), KeySource("http://keys")
    for second in range(120):
        clock.now = 1000.0 + second
        ask(source, f"unknown-{second}")

    assert published.fetched == 2


def test_without_keys_a_flood_fetches_once_a_second_counted_from_the_last_ones_end(monkeypatch, clock):
    published, source = Published(monkeypatch), KeySource("http://keys")
    published.answer, published.takes_s, published.clock = None, 3, clock
    for _ in range(50):
        ask(source)
        clock.now += 0.1

    assert published.fetched == 5


def test_keys_that_appear_are_found_a_second_later(monkeypatch, clock):
    published, source = Published(monkeypatch), KeySource("http://keys")
    good, published.answer = published.answer, None
    ask(source)
    published.answer = good
    clock.now += 1

    assert KEY.kid in ask(source, KEY.kid)


BAD_KEY_SETS = [
    *(None, b"<html>", b"{}", b"[]", b"null", b'{"keys": null}', b'{"keys": ["x"]}', b'{"keys": []}', b'{"keys": [{"alg": "RS256"}]}'),
    *(b'{"keys": [{"alg": "ES256", "kid": "k"}]}', b'{"keys": [{"alg": "ES256", "kid": "k", "kty": "EC", "crv": "P-256", "x": 1}]}'),
]


@pytest.mark.parametrize("answer", BAD_KEY_SETS)
def test_the_last_good_keys_are_kept_when_fetching_fails(monkeypatch, answer):
    published, source = Published(monkeypatch), KeySource("http://keys")
    source.for_key_id(KEY.kid, {})
    published.answer = answer
    monkeypatch.setattr(jwks, "REFETCH_S", 0)

    assert KEY.kid in source.for_key_id("unknown", {})
    assert published.fetched == 2


@pytest.mark.parametrize("answer", BAD_KEY_SETS)
def test_without_any_keys_nobody_gets_in(monkeypatch, answer):
    published, source = Published(monkeypatch), KeySource("http://keys")
    published.answer = answer

    with pytest.raises(Unavailable):
        source.for_key_id("k", {})
