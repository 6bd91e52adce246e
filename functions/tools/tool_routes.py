"""The routes of a user's tools."""

from fastapi import APIRouter, Depends, Request

from functions.tools.calling import invoke
from functions.tools.errors import ToolDisabled
from functions.tools.listing import refresh
from functions.tools.schemas import InvokeIn, OutcomeOut, ToolChange, ToolName, ToolOut
from functions.tools.setting import change
from parley.errors import NotFound
from parley.http.dependencies import CurrentPrincipal, requires
from parley.http.paging import Listing, Page, read_key
from parley.http.problems import error_responses
from parley.metering.limits import RateLimited

router = APIRouter(dependencies=[Depends(requires("tools"))])


@router.get("/tools")
def list_tools(request: Request, principal: CurrentPrincipal, page: Page) -> Listing[ToolOut]:
    """List the user's tools by name, also those that are off.

    MCP servers that have not been asked for ten minutes are asked now, all at once and for five seconds at most.
    """
    services = request.app.state.services
    refresh(services, principal)
    after = read_key(page.after, str) or ""
    found = [tool for tool in services.toolbox(principal).all if tool.spec.name > after]
    return page.listing(found[: page.limit + 1], to_item=ToolOut.of, key=lambda tool: [tool.spec.name])


@router.put("/tools/{id}", responses=error_responses(NotFound))
def change_tool(id: ToolName, body: ToolChange, request: Request, principal: CurrentPrincipal) -> ToolOut:
    """Turn a tool on or off, or have its calls ask first. An approval that the tool itself demands stays."""
    return ToolOut.of(change(request.app.state.services, principal, id, body.columns()))


@router.post("/tools/{id}/invoke", responses=error_responses(NotFound, ToolDisabled, RateLimited))
def invoke_tool(id: ToolName, body: InvokeIn, request: Request, principal: CurrentPrincipal) -> OutcomeOut:
    """Run a tool with these arguments. Who calls has read them: this is the approval, where the tool wants one."""
    return OutcomeOut.model_validate(invoke(request.app.state.services, principal, id, body.arguments))
