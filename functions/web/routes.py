"""The routes that serve the API description as JSON and as a page."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response

from functions.web.files import File

router = APIRouter()
IfNoneMatch = Annotated[str | None, Header()]
UNCHANGED: dict[str, Any] = {"description": "The caller's copy is current."}


@router.get("/openapi.json", responses={304: UNCHANGED})
async def openapi(request: Request, if_none_match: IfNoneMatch = None) -> Response:
    """Return this API description (OpenAPI 3.1)."""
    document: File = request.app.state.document
    return document.response(if_none_match)


@router.get("/docs", responses={200: {"content": {"text/html": {}}}, 304: UNCHANGED}, response_class=Response)
async def docs(request: Request, if_none_match: IfNoneMatch = None) -> Response:
    """Return this API description as a self-contained HTML page."""
    page: File = request.app.state.page
    return page.response(if_none_match)
