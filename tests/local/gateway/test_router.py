"""Route matching."""

import pytest

from local.gateway.router import RouteMatcher
from local.template.stack import MockIntegration, Route

PATHS = ["GET /", "GET /a", "GET /a/{id}", "GET /a/fixed", "ANY /a/{id}/b", "GET /a/{rest+}", "POST /only", "GET /{top}/x"]
ROUTER = RouteMatcher(Route(method=one.split()[0], path=one.split()[1], integration=MockIntegration(200, {}, "")) for one in PATHS)


@pytest.mark.parametrize(
    ("request_line", "route", "parameters"),
    [
        ("GET /", "/", {}),
        ("GET /a", "/a", {}),
        ("GET /a/", "/a", {}),
        ("GET /a/fixed", "/a/fixed", {}),
        ("GET /a/5", "/a/{id}", {"id": "5"}),
        ("GET /a/x%20y%2Fz", "/a/{id}", {"id": "x y/z"}),
        ("DELETE /a/5/b", "/a/{id}/b", {"id": "5"}),
        ("GET /a/5/c/d", "/a/{rest+}", {"rest": "5/c/d"}),
        ("GET /a/fixed/more", "/a/{rest+}", {"rest": "fixed/more"}),
        ("GET /z/x", "/{top}/x", {"top": "z"}),
    ],
)
def test_the_most_exact_resource_wins(request_line: str, route: str, parameters: dict[str, str]) -> None:
    method, path = request_line.split()
    found = ROUTER.find(method, path)

    assert found
    assert (found[0].path, found[1]) == (route, parameters)


@pytest.mark.parametrize("request_line", ["GET /only", "HEAD /a", "GET /z", "GET //z", "POST /a/fixed", "GET /only/y", "TRACE /a"])
def test_an_unknown_path_or_method_has_no_route(request_line: str) -> None:
    assert ROUTER.find(*request_line.split()) is None
