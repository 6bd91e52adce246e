"""The routes that serve the web page, and the API description as JSON and as a page."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request, Response

from functions.web.files import DOCUMENT, File, PageNotBuilt, page_file
from parley.errors import NotFound
from parley.http.lazy_routes import LazyRoute
from parley.http.problems import error_responses
from parley.http.stage_prefix import StagePrefix

router = APIRouter(route_class=LazyRoute)
IfNoneMatch = Annotated[str | None, Header()]
AcceptEncoding = Annotated[str | None, Header()]
UNCHANGED: dict[str, Any] = {"description": "The caller's copy is current."}
HTML: dict[int | str, Any] = {200: {"content": {"text/html": {}}}, 304: UNCHANGED}
ASSET: dict[int | str, Any] = {200: {"content": {"text/javascript": {}, "text/css": {}}}, 304: UNCHANGED}
SLASH_MISSING: dict[int | str, Any] = {308: {"description": "The page, whose links are relative, is at this path with a slash."}}


@router.get("/", responses=HTML | SLASH_MISSING | error_responses(PageNotBuilt), response_class=Response)
async def document(
    request: Request, stage_prefix: StagePrefix, if_none_match: IfNoneMatch = None, accept_encoding: AcceptEncoding = None
) -> Response:
    """Return the web page."""
    if request.scope["aws.event"]["requestContext"].get("path") == stage_prefix != "":
        return Response(status_code=308, headers={"Location": f"{stage_prefix}/"})
    page: Mapping[str, File] = request.app.state.page
    return page_file(page, DOCUMENT).response(if_none_match, accept_encoding=accept_encoding)


@router.get("/assets/{name}", responses=ASSET | error_responses(NotFound, PageNotBuilt), response_class=Response)
async def asset(
    name: Annotated[str, Path(max_length=100)],
    request: Request,
    if_none_match: IfNoneMatch = None,
    accept_encoding: AcceptEncoding = None,
) -> Response:
    """Return a script or style sheet of the web page. Its name contains a hash of its content."""
    page: Mapping[str, File] = request.app.state.page
    return page_file(page, name).response(if_none_match, accept_encoding=accept_encoding)


@router.get("/openapi.json", responses={304: UNCHANGED})
async def openapi(request: Request, if_none_match: IfNoneMatch = None) -> Response:
    """Return this API description (OpenAPI 3.1)."""
    description: File = request.app.state.description
    return description.response(if_none_match)


@router.get("/docs", responses=HTML, response_class=Response)
async def docs(request: Request, if_none_match: IfNoneMatch = None) -> Response:
    """Return this API description as a self-contained HTML page."""
    docs: File = request.app.state.docs
    return docs.response(if_none_match)
