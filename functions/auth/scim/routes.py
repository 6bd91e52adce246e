"""The SCIM routes (RFC 7644). The identity provider calls them with a token that the function checks, not the gateway."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from functions.auth.scim import discovery, groups, users
from functions.auth.scim.errors import (
    MEDIA_TYPE,
    AlreadyExists,
    ScimError,
    TokenRefused,
    TooManyScimRequests,
    UnknownResource,
)
from functions.auth.scim.filters import parse_filter
from functions.auth.scim.patches import patch_user
from functions.auth.scim.schemas import (
    MAX_PAGE,
    ScimGroupIn,
    ScimGroupOut,
    ScimListOut,
    ScimPatch,
    ScimUserIn,
    ScimUserOut,
    validate,
    wants,
)
from functions.auth.scim.tokens import authenticate
from functions.auth.scim.users import Profile, parse_id
from functions.auth.services import AuthServicesDep
from parley.db.groups.pools import PaidByAnotherGroup
from parley.db.scim import users as stored_users
from parley.db.scim.groups import ScimMember
from parley.db.transactions import global_scope
from parley.errors import NotFound
from parley.http.dependencies import RequestOrigin
from parley.http.lazy_routes import LazyRoute
from parley.http.problems import error_responses
from parley.http.stage_prefix import PublicUrl

REFUSED = error_responses(ScimError)
CONFLICT = error_responses(ScimError, AlreadyExists)


class ScimResponse(JSONResponse):
    """A response of the media type of SCIM."""

    media_type = MEDIA_TYPE


async def _authenticate(request: Request, services: AuthServicesDep, origin: RequestOrigin) -> None:
    authenticate(services, request.headers.get("authorization", ""), origin=origin)


router = APIRouter(
    route_class=LazyRoute,
    default_response_class=ScimResponse,
    dependencies=[Depends(_authenticate)],
    responses=error_responses(TokenRefused, TooManyScimRequests),
)


async def _resource_id(id: Annotated[str, Path(max_length=64)]) -> UUID:
    """Return the id of the path. Any other text is the id of no resource."""
    found = parse_id(id)
    if found is None:
        raise UnknownResource("resource")
    return found


ResourceId = Annotated[UUID, Depends(_resource_id)]
Filter = Annotated[str, Query(max_length=2048, description="Comparisons by eq, co, sw or ew, joined by `and`.")]
Attributes = Annotated[str | None, Query(max_length=1000, description="Attributes to return, separated by commas.")]
ExcludedAttributes = Annotated[str | None, Query(alias="excludedAttributes", max_length=1000, description="Attributes to leave out.")]


class ListQuery:
    """The part of a list that a request wants (RFC 7644, 3.4.2.4)."""

    def __init__(
        self,
        filter: Filter = "",
        start_index: Annotated[int, Query(alias="startIndex", le=1_000_000)] = 1,
        count: Annotated[int, Query(le=1_000_000)] = 100,
        attributes: Attributes = None,
        excluded: ExcludedAttributes = None,
    ) -> None:
        self.terms = parse_filter(filter) if filter.strip() else []
        self.start_index, self.limit = max(1, start_index), min(max(0, count), MAX_PAGE)
        self.attributes, self.excluded = attributes, excluded

    @property
    def offset(self) -> int:
        """The number of resources before the page."""
        return self.start_index - 1

    def page(self, resources: list[dict[str, Any]], total: int) -> ScimListOut:
        """Return the page."""
        return ScimListOut(total_results=total, start_index=self.start_index, items_per_page=len(resources), resources=resources)


ListPart = Annotated[ListQuery, Depends()]


@router.get("/scim/v2/ServiceProviderConfig")
async def provider_config(base_url: PublicUrl) -> dict[str, Any]:
    """Describe what of SCIM is supported (RFC 7643, 5)."""
    return discovery.config(base_url)


@router.get("/scim/v2/ResourceTypes")
async def resource_types(base_url: PublicUrl) -> dict[str, Any]:
    """List the types of resources: users and groups."""
    return discovery.listed(discovery.resource_types(base_url))


@router.get("/scim/v2/ResourceTypes/{id}", responses=error_responses(NotFound))
async def resource_type(id: Annotated[str, Path(max_length=100)], base_url: PublicUrl) -> dict[str, Any]:
    """Return a type of resources."""
    return discovery.find(discovery.resource_types(base_url), id, kind="resource type")


@router.get("/scim/v2/Schemas")
async def schemas(base_url: PublicUrl) -> dict[str, Any]:
    """List the schemas of users and groups, with the attributes that are stored."""
    return discovery.listed(discovery.schemas(base_url))


@router.get("/scim/v2/Schemas/{id}", responses=error_responses(NotFound))
async def schema(id: Annotated[str, Path(max_length=100)], base_url: PublicUrl) -> dict[str, Any]:
    """Return a schema."""
    return discovery.find(discovery.schemas(base_url), id, kind="schema")


@router.get("/scim/v2/Users", responses=REFUSED)
def list_scim_users(services: AuthServicesDep, part: ListPart, base_url: PublicUrl) -> ScimListOut:
    """List accounts, oldest first, or those that a filter finds.

    Accounts that the identity provider has not written yet are listed too, with their address as `userName`.
    """
    with global_scope(services.background) as connection:
        found, total = users.select_page(connection, part.terms, offset=part.offset, limit=part.limit)
    return part.page([ScimUserOut.of(user, base_url).chosen(part.attributes, part.excluded) for user in found], total)


@router.post("/scim/v2/Users", status_code=201, response_model=ScimUserOut, response_model_exclude_none=True, responses=CONFLICT)
def create_scim_user(
    body: ScimUserIn, services: AuthServicesDep, origin: RequestOrigin, base_url: PublicUrl, response: Response
) -> ScimUserOut:
    """Create an account without a password, whose user signs in at an issuer. A user whom the provider deleted gets their account back."""
    user = users.create(services, Profile.whole(body, is_active=True), origin=origin)
    return _created(ScimUserOut.of(user, base_url), response)


@router.get("/scim/v2/Users/{id}", response_model=ScimUserOut, response_model_exclude_none=True, responses=REFUSED)
def get_scim_user(
    id: ResourceId, services: AuthServicesDep, base_url: PublicUrl, attributes: Attributes = None, excluded: ExcludedAttributes = None
) -> dict[str, Any]:
    """Return an account."""
    with global_scope(services.background) as connection:
        user = users.get(connection, id)
    return ScimUserOut.of(user, base_url).chosen(attributes, excluded)


@router.put("/scim/v2/Users/{id}", response_model=ScimUserOut, response_model_exclude_none=True, responses=CONFLICT)
def replace_scim_user(
    id: ResourceId, body: ScimUserIn, services: AuthServicesDep, origin: RequestOrigin, base_url: PublicUrl
) -> ScimUserOut:
    """Replace an account's attributes. With `active: false`, its sessions and API keys end at once."""
    user = users.change(services, id, lambda user: Profile.whole(body, is_active=user.is_active), origin=origin)
    return ScimUserOut.of(user, base_url)


@router.patch("/scim/v2/Users/{id}", response_model=ScimUserOut, response_model_exclude_none=True, responses=CONFLICT)
def patch_scim_user(id: ResourceId, body: ScimPatch, services: AuthServicesDep, origin: RequestOrigin, base_url: PublicUrl) -> ScimUserOut:
    """Change attributes of an account. If `active` becomes false, its sessions and API keys end at once."""

    def patched(user: stored_users.ScimUser) -> Profile:
        return Profile.of(validate(ScimUserIn, patch_user(user, body.operations)), is_active=user.is_active)

    return ScimUserOut.of(users.change(services, id, patched, origin=origin), base_url)


@router.delete("/scim/v2/Users/{id}", status_code=204, response_class=Response, responses=REFUSED)
def delete_scim_user(id: ResourceId, services: AuthServicesDep, origin: RequestOrigin) -> None:
    """Disable an account, end its access and hide it from SCIM. Its data stays until its user or an operator deletes it."""
    users.remove(services, id, origin=origin)


@router.get("/scim/v2/Groups", responses=REFUSED)
def list_scim_groups(services: AuthServicesDep, part: ListPart, base_url: PublicUrl) -> ScimListOut:
    """List the groups that the identity provider manages, oldest first, or those that a filter finds.

    A page of groups with their members can be shorter than `count`: it has no more members than one group may have.
    """
    members: dict[UUID, list[ScimMember]] = {}
    with global_scope(services.background) as connection:
        found, total = groups.select_page(connection, part.terms, offset=part.offset, limit=part.limit)
        if wants("members", part.attributes, part.excluded):
            found = groups.bounded(connection, found)
            members = groups.members_of(connection, found)
    rendered = (ScimGroupOut.of(group, members.get(group.id), base_url) for group in found)
    return part.page([group.chosen(part.attributes, part.excluded) for group in rendered], total)


@router.post(
    "/scim/v2/Groups",
    status_code=201,
    response_model=ScimGroupOut,
    response_model_exclude_none=True,
    responses=error_responses(ScimError, AlreadyExists, PaidByAnotherGroup),
)
def create_scim_group(
    body: ScimGroupIn, services: AuthServicesDep, origin: RequestOrigin, base_url: PublicUrl, response: Response
) -> ScimGroupOut:
    """Create a group. Its members see it and share with it; only the identity provider changes it."""
    with global_scope(services.background) as connection:
        group = groups.create(connection, body, origin=origin)
        members = groups.members_of(connection, [group])[group.id]
    return _created(ScimGroupOut.of(group, members, base_url), response)


@router.get("/scim/v2/Groups/{id}", response_model=ScimGroupOut, response_model_exclude_none=True, responses=REFUSED)
def get_scim_group(
    id: ResourceId, services: AuthServicesDep, base_url: PublicUrl, attributes: Attributes = None, excluded: ExcludedAttributes = None
) -> dict[str, Any]:
    """Return a group with its members."""
    with global_scope(services.background) as connection:
        group = groups.get(connection, id)
        members = groups.members_of(connection, [group])[id] if wants("members", attributes, excluded) else None
    return ScimGroupOut.of(group, members, base_url).chosen(attributes, excluded)


@router.put(
    "/scim/v2/Groups/{id}",
    response_model=ScimGroupOut,
    response_model_exclude_none=True,
    responses=error_responses(ScimError, AlreadyExists, PaidByAnotherGroup),
)
def replace_scim_group(
    id: ResourceId, body: ScimGroupIn, services: AuthServicesDep, origin: RequestOrigin, base_url: PublicUrl
) -> ScimGroupOut:
    """Replace a group's name and members. Members who stay keep what they share with the group."""
    with global_scope(services.background) as connection:
        group = groups.replace(connection, id, body, origin=origin)
        members = groups.members_of(connection, [group])[id]
    return ScimGroupOut.of(group, members, base_url)


@router.patch(
    "/scim/v2/Groups/{id}",
    status_code=204,
    response_class=Response,
    responses=error_responses(ScimError, AlreadyExists, PaidByAnotherGroup),
)
def patch_scim_group(id: ResourceId, body: ScimPatch, services: AuthServicesDep, origin: RequestOrigin) -> None:
    """Change a group's name, or add and remove members. The response has no body, as a group can have many members."""
    with global_scope(services.background) as connection:
        groups.patch(connection, id, body.operations, origin=origin)


@router.delete("/scim/v2/Groups/{id}", status_code=204, response_class=Response, responses=REFUSED)
def delete_scim_group(id: ResourceId, services: AuthServicesDep, origin: RequestOrigin) -> None:
    """Delete a group. Documents that were shared with it stay with their owners."""
    with global_scope(services.background) as connection:
        groups.remove(connection, id, origin=origin)


def _created[T: (ScimUserOut, ScimGroupOut)](resource: T, response: Response) -> T:
    """Name the address of a new resource in the response."""
    if resource.meta:
        response.headers["Location"] = resource.meta.location
    return resource
