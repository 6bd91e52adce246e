"""The admin routes of SCIM: the token that the identity provider is given."""

from fastapi import APIRouter, Depends

from functions.auth.admin_routes import AdminTransaction
from functions.auth.scim import tokens
from functions.auth.scim.schemas import CreatedScimTokenOut, ScimTokenOut, ScimTokensOut
from parley.db.scim import tokens as stored
from parley.http.dependencies import CurrentPrincipal, RequestOrigin, requires
from parley.http.lazy_routes import LazyRoute
from parley.http.stage_prefix import PublicUrl

ROUTES = "/scim/v2"

router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("admin"))])


@router.post("/admin/scim-token", status_code=201)
def make_scim_token(
    transaction: AdminTransaction, principal: CurrentPrincipal, origin: RequestOrigin, base_url: PublicUrl
) -> CreatedScimTokenOut:
    """Make a token for the identity provider. Only this response shows it. The token before it stays valid for a day."""
    return CreatedScimTokenOut(token=tokens.make_token(transaction, principal, origin=origin), base_url=f"{base_url}{ROUTES}")


@router.get("/admin/scim-token")
def list_scim_tokens(transaction: AdminTransaction, base_url: PublicUrl) -> ScimTokensOut:
    """Show the valid tokens without their secrets: the current one, and for a day each that was replaced."""
    valid = [ScimTokenOut.model_validate(token) for token in stored.list_valid(transaction)]
    return ScimTokensOut(base_url=f"{base_url}{ROUTES}", tokens=valid)


@router.delete("/admin/scim-token", status_code=204)
def revoke_scim_tokens(transaction: AdminTransaction, principal: CurrentPrincipal, origin: RequestOrigin) -> None:
    """Revoke all tokens at once, so that the identity provider has no access. Accounts and groups stay as they are."""
    tokens.revoke_tokens(transaction, principal, origin=origin)
