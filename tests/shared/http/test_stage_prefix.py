"""The part of a path before the route, and the address at which the client reached the API."""

import pytest

from parley.errors import InvalidInput
from parley.http.stage_prefix import public_url_of, stage_prefix_of


def event(path="/prod/chat", route="/chat", **headers):
    return {"requestContext": {"path": path, "resourcePath": route}, "headers": headers or None}


@pytest.mark.parametrize(
    ("path", "route", "prefix"),
    [
        ("/prod/chat", "/chat", "/prod"),
        ("/chat", "/chat", ""),
        ("/prod/", "/", "/prod"),
        ("/", "/", ""),
        ("/prod/conversations/7", "/conversations/{id}", "/prod"),
        ("/prod/auth/oidc/corp/start", "/auth/oidc/{id}/start", "/prod"),
        ("/auth/oidc/corp/start", "/auth/oidc/{id}/start", ""),
        ("/prod/auth/oidc/corp/start/", "/auth/oidc/{id}/start", ""),
        ("/start", "/auth/oidc/{id}/start", ""),
        ("//evil.example/auth/oidc/corp/start", "/auth/oidc/{id}/start", "/evil.example"),
        ("//evil.example/chat", "/chat", "/evil.example"),
        ("/\\evil.example/chat", "/chat", "/evil.example"),
    ],
)
def test_the_prefix_is_what_precedes_the_route_with_exactly_one_slash(path, route, prefix):
    assert stage_prefix_of(event(path, route)) == prefix


def test_a_request_without_a_path_has_no_prefix():
    assert stage_prefix_of({"requestContext": {}}) == ""


@pytest.mark.parametrize(
    ("protocol", "scheme"), [({}, "https"), ({"X-Forwarded-Proto": "HTTP"}, "http"), ({"X-Forwarded-Proto": "https"}, "https")]
)
def test_the_public_address_has_the_scheme_of_the_request(protocol, scheme):
    assert public_url_of(event(Host="Chat.example.com:8443", **protocol)) == f"{scheme}://chat.example.com:8443/prod"


@pytest.mark.parametrize("headers", [{}, {"Host": ""}, {"Host": "evil.example/x"}, {"Host": "a b"}])
def test_a_malformed_host_is_refused(headers):
    with pytest.raises(InvalidInput, match="not a host name"):
        public_url_of(event(**headers))
