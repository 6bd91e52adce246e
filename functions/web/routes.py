"""The routes of the description."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response

router = APIRouter()
IfNoneMatch = Annotated[str | None, Header()]
UNCHANGED: dict[str, Any] = {"description": "The caller's copy is current."}


@router.get("/openapi.json", responses={304: UNCHANGED})
async def openapi(request: Request, if_none_match: IfNoneMatch = None) -> Response:
    """Return this document (OpenAPI 3.1)."""
    found: Response = request.app.state.document.answer(if_none_match)
    return found


@router.get("/docs", responses={200: {"content": {"text/html": {}}}, 304: UNCHANGED}, response_class=Response)
async def docs(request: Request, if_none_match: IfNoneMatch = None) -> Response:
    """Show this document as a page, which loads nothing else."""
    found: Response = request.app.state.page.answer(if_none_match)
    return found
