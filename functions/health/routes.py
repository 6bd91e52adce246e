"""The health routes."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response

from functions.health.checks import check_database
from parley import __version__

router = APIRouter()


@router.get("/health")
def health() -> dict[str, str]:
    """Say that functions run, without looking further."""
    return {"status": "ok", "version": __version__}


@router.get(
    "/health/ready", responses={503: {"description": "Something that Parley needs is not there.", "content": {"application/json": {}}}}
)
def ready(request: Request, response: Response) -> dict[str, Any]:
    """Say whether what Parley needs is there; 503 if not."""
    checks = {"database": check_database(request.app.state.engine)}
    is_ready = all(check.status == "ok" for check in checks.values())
    if not is_ready:
        response.status_code, response.headers["Retry-After"] = 503, "2"
    return {"status": "ok" if is_ready else "failed", "checks": {name: asdict(check) for name, check in checks.items()}}
