"""The health routes."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response

from functions.health.checks import check_database
from parley import __version__
from parley.http.lazy_routes import LazyRoute

router = APIRouter(route_class=LazyRoute)


@router.get("/health")
def health() -> dict[str, str]:
    """Return 200 if the function runs. Checks no dependencies."""
    return {"status": "ok", "version": __version__}


@router.get("/health/ready", responses={503: {"description": "A dependency is not available.", "content": {"application/json": {}}}})
def ready(request: Request, response: Response) -> dict[str, Any]:
    """Check Parley's dependencies. Returns 503 if a dependency is not available."""
    checks = {"database": check_database(request.app.state.engine)}
    is_ready = all(check.status == "ok" for check in checks.values())
    if not is_ready:
        response.status_code, response.headers["Retry-After"] = 503, "2"
    return {"status": "ok" if is_ready else "failed", "checks": {name: asdict(check) for name, check in checks.items()}}
