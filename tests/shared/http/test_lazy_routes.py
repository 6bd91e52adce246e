"""Routes that are built by the first request that matches them."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import APIRouter, FastAPI
from starlette.testclient import TestClient

from parley.http.lazy_routes import LazyRoute, build_routes


@pytest.fixture
def router():
    """A router with two routes for notes and a route for whole paths."""
    router = APIRouter(route_class=LazyRoute)
    router.get("/notes/{note}")(read_note)
    router.get("/notes/{note}/author")(read_author)
    router.get("/files/{path:path}")(read_file)
    return router


def read_note(note: int) -> dict[str, int]:
    return {"note": note}


def read_author(note: int) -> dict[str, str]:
    return {"author": f"of {note}"}


def read_file(path: str) -> dict[str, str]:
    return {"path": path}


def client_of(router, *, root_path=""):
    app = FastAPI(openapi_url=None)
    app.router.routes += router.routes
    return TestClient(app, root_path=root_path)


def built(router):
    return [route.path for route in router.routes if "app" in vars(route)]


def test_a_request_builds_its_route_only(router):
    before = built(router)

    assert client_of(router).get("/notes/7/author").json() == {"author": "of 7"}
    assert (before, built(router)) == ([], ["/notes/{note}/author"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/notes/7", 200),
        ("GET", "/files/a/b", 200),
        ("GET", "/notes/seven", 422),
        ("POST", "/notes/7", 405),
        ("GET", "/notes", 404),
        ("GET", "/notes/7/authors", 404),
    ],
)
def test_lazy_routes_answer_as_other_routes_do(router, method, path, status):
    assert client_of(router).request(method, path).status_code == status


def test_a_lazy_route_matches_behind_a_root_path(router):
    assert client_of(router, root_path="/Prod").get("/Prod/notes/7").json() == {"note": 7}


def test_two_threads_may_build_the_same_route(router):
    (route, *_) = router.routes
    with ThreadPoolExecutor(8) as pool:
        dependants = list(pool.map(lambda _: route.dependant, range(8)))

    assert {id(dependant) for dependant in dependants} == {id(route.dependant)}


def test_a_process_that_is_copied_builds_every_route_before(router):
    build_routes(router.routes)

    assert len(built(router)) == 3


def test_an_unknown_attribute_of_a_lazy_route_is_an_error(router):
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = router.routes[0].no_such_name
