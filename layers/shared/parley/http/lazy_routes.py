"""Routes that are built by the first request that matches them, instead of when a worker starts."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, compile_path

_BUILDING = threading.RLock()


class LazyRoute(APIRoute):
    """A route that knows its path and methods, and builds the rest when it is first read.

    The rest is the route's parameters, its validators of request and response, and its handler: 1 to 2 ms of CPU per route, for
    up to 30 routes of which a worker's first request needs one. An error in a route is raised by that request, so a test
    must build every route.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.path, self.endpoint = path, endpoint
        self.methods = {method.upper() for method in options["methods"] or ["GET"]}
        self._options = options

    def __getattr__(self, name: str) -> Any:
        """Return an attribute that is read for the first time: a request's path is matched before the route is built."""
        if name in ("path_regex", "path_format", "param_convertors"):
            self.path_regex, self.path_format, self.param_convertors = compile_path(self.path)
        else:
            self._build()
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(name, name=name, obj=self) from None

    def _build(self) -> None:
        with _BUILDING:
            options = self.__dict__.pop("_options", None)
            if options is not None:
                super().__init__(self.path, self.endpoint, **options)


def build_routes(routes: Iterable[BaseRoute]) -> None:
    """Build the routes that are not built yet, for a process that is about to be copied."""
    for route in routes:
        if isinstance(route, LazyRoute):
            _ = route.app
