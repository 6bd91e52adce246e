"""Cached policies: one decision holds for every route. Evaluated by the emulator's authorizer code, not on AWS."""

import asyncio
import json
import re
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from local.gateway.authorizers import Authorizers
from local.gateway.errors import GatewayError
from local.gateway.policy import Grant
from local.gateway.request import GatewayRequest
from local.runtime.outcome import Failure, HandlerResult
from local.template.load import load
from local.template.stack import Authorizer
from parley.auth.principal import ADMIN_SCOPES
from parley.clock import utc_now
from tests.support.tokens import ACCESS_SIGNING_KEY, forge, make_access_token, make_api_key, make_client_token

TEMPLATE = Path(__file__).parents[3] / "template.yaml"
STACK = load(TEMPLATE, overrides={})
GUARDED = [route for route in STACK.api.routes if route.authorizer]
NAMES = [f"{route.method} {route.path}" for route in GUARDED]
# Built on demand: a token built at collection may have expired before its test runs.
TOKENS = {
    "user": lambda: make_access_token(),
    "admin": lambda: make_access_token(ADMIN_SCOPES),
    "narrow": lambda: make_access_token(frozenset()),
    "API key": lambda: make_api_key(),
    "MCP client": lambda: make_client_token(),
    "expired": lambda: make_access_token(now=utc_now() - timedelta(hours=1)),
    "expired API key": lambda: make_api_key(now=utc_now() - timedelta(days=40)),
    "other stage": lambda: make_access_token(issuer="parley/test/dev"),
    "forged": lambda: forge(make_access_token(), alg="none", sign=lambda _: b"x"),
    "garbage": lambda: "x.y.z",
    "expired MCP client": lambda: make_client_token(now=utc_now() - timedelta(hours=1)),
}
UNAUTHORIZED = {"expired", "expired API key", "expired MCP client", "other stage", "forged", "garbage"}


class InProcess:
    """A worker fleet that runs the authorizer's handler in this process, and keeps its outcomes."""

    def __init__(self, handler):
        self.handler, self.outcomes = handler, []

    def submit(self, name, event, *, trace_id, user=""):
        try:
            self.outcomes.append(HandlerResult(json.dumps(self.handler(json.loads(event), None)).encode()))
        except Exception as exc:
            self.outcomes.append(Failure(type(exc).__name__, str(exc)))
        outcome = asyncio.get_running_loop().create_future()
        outcome.set_result(self.outcomes[-1])
        return SimpleNamespace(outcome=outcome)


def gateway(handler, *, ttl_s):
    """A gateway with one cache for all routes, those that API Gateway does not cache included."""
    shared = Authorizer(name="shared", function="F", identity_headers=("Authorization",), ttl_s=ttl_s)
    return Authorizers(dict.fromkeys(STACK.api.authorizers, shared), fleet=InProcess(handler), stage="prod")


async def verdict(authorizers, token, route):
    path = re.sub(r"\{\w+\+?\}", "00000000-0000-7000-8000-000000000001", route.path)
    headers = [("Host", "api.example.com"), ("Authorization", f"Bearer {token}")]
    request = GatewayRequest(route.method, path, [], headers, peer="192.0.2.7", protocol="HTTP/1.1", port=443)
    try:
        await authorizers.check(request, route)
    except GatewayError as refusal:
        return refusal.kind
    return {name: request.authorizer[name] for name in request.authorizer if name != "integrationLatency"}


async def verdicts(authorizers, token):
    return {name: await verdict(authorizers, token, route) for name, route in zip(NAMES, GUARDED, strict=True)}


@pytest.mark.parametrize("kind", TOKENS)
def test_a_cached_policy_decides_every_route_as_a_fresh_one_does(handler, kind):
    async def compare():
        token, compared = TOKENS[kind](), []
        fresh = await verdicts(gateway(handler, ttl_s=0), token)
        for first in GUARDED:
            cached = gateway(handler, ttl_s=30)
            await verdict(cached, token, first)
            (outcome,) = cached._fleet.outcomes
            # The gateway caches the outcome alone, so an outcome that several routes have decides the same after each of them.
            if outcome not in compared:
                compared.append(outcome)
                assert await verdicts(cached, token) == fresh
                assert kind in UNAUTHORIZED or cached._fleet.outcomes == [outcome]

    asyncio.run(compare())


@pytest.mark.parametrize("kind", TOKENS)
def test_each_kind_of_token_may_call_its_routes_and_no_others(handler, kind):
    def expected(name):
        path = name.split()[1]
        if kind == "MCP client":
            return "open" if name == "POST /mcp" else "ACCESS_DENIED"
        denied = ("/admin/",) if kind in ("user", "narrow") else ("/admin/", "/auth/") if kind == "API key" else ()
        return "UNAUTHORIZED" if kind in UNAUTHORIZED else "ACCESS_DENIED" if path.startswith(denied) else "open"

    decisions = asyncio.run(verdicts(gateway(handler, ttl_s=0), TOKENS[kind]()))

    assert {name: decision if isinstance(decision, str) else "open" for name, decision in decisions.items()} == {
        name: expected(name) for name in NAMES
    }


def test_the_stage_has_routes_of_every_area():
    assert {name.split()[1].split("/")[1] for name in NAMES} >= {"auth", "admin", "chat", "conversations"}


@pytest.mark.parametrize("kind", ["user", "API key"])
def test_no_spelling_of_a_denied_path_is_allowed(handler, kind):
    policy = handler_policy(handler, TOKENS[kind]())
    stage = "arn:aws:execute-api:us-east-1:123456789012:local/prod"
    for path in ("admin/users", "/admin/users", "admin/", "x/../admin/users", "admin/users/1", "v1/admin/x"):
        assert not policy.allows(f"{stage}/GET/{path}"), path


def handler_policy(handler, token):
    event = {
        "methodArn": "arn:aws:execute-api:us-east-1:123456789012:local/prod/GET/conversations",
        "headers": {"Authorization": f"Bearer {token}"},
        "requestContext": {"requestId": "r", "domainName": "x", "stage": "prod"},
    }
    return Grant.parse(handler(event, None))


def test_another_stage_or_api_is_never_allowed(handler):
    policy = handler_policy(handler, TOKENS["admin"]())

    for stage in ("local/dev", "other/prod", "local/prod2"):
        assert not policy.allows(f"arn:aws:execute-api:us-east-1:123456789012:{stage}/GET/conversations")


def test_the_policy_is_cached_for_thirty_seconds_by_token_only():
    cached = {one.name: (one.ttl_s, one.identity_headers) for one in STACK.api.authorizers.values()}

    assert cached == {"Authorizer": (30, ("Authorization",)), "UncachedAuthorizer": (0, ())}


def test_the_gateway_caches_no_responses():
    text = TEMPLATE.read_text()

    assert not any(setting in text for setting in ("CacheClusterEnabled", "CachingEnabled", "CacheClusterSize"))


@pytest.mark.parametrize("authorization", ["Basic eDp5", "", "Bearer x.y.z"])
def test_beside_an_authorization_header_an_api_key_header_decides_nothing(ask, authorization):
    """Else the cached policy of one user's `x-api-key` would serve everybody who sends the same `Authorization`."""
    with pytest.raises(Exception, match="^Unauthorized$"):
        ask(authorization, x_api_key=make_api_key())


SPOOFED = ["X-User-Id", "X-Amzn-Oidc-Identity", "X-Principal-Id", "X-Forwarded-User", "X-Authorizer-Sub", "Sub", "X-Session-Id"]


def test_only_the_token_identifies_the_caller(ask):
    bearer = f"Bearer {TOKENS['user']()}"
    plain = ask(bearer)

    assert ask(bearer, **dict.fromkeys(SPOOFED, "somebody-else")) == plain
    assert plain["context"]["sub"] == plain["principalId"] != ACCESS_SIGNING_KEY.kid
