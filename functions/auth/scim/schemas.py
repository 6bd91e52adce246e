"""Request and response models of the SCIM routes: the core schemas of RFC 7643, as far as Parley stores them.

Attributes that Parley does not store are ignored: identity providers send many. Names of attributes are read regardless of case.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from functions.auth.schemas import Email
from functions.auth.scim.errors import ERROR_SCHEMA, ScimError
from parley.db.scim.groups import ScimGroup, ScimMember
from parley.db.scim.users import ScimUser
from parley.http.schemas import Input, Output, Timestamp

USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Group"
LIST_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
MAX_OPERATIONS = 1000
MAX_MEMBERS_PER_REQUEST = 1000
MAX_PAGE = 200
MAX_NAME = 100

_CAMEL = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


def _printable(text: object) -> object:
    """Return a name without control characters, cut to its limit, and None for an empty one."""
    if not isinstance(text, str):
        return text
    return "".join(letter for letter in text if letter.isprintable()).strip()[:MAX_NAME] or None


def _truth(value: object) -> object:
    """Read a truth value. Entra sends some as texts."""
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


Name = Annotated[Annotated[str, Field(max_length=MAX_NAME)] | None, BeforeValidator(_printable, json_schema_input_type=str | None)]
ExternalId = Annotated[str, Field(min_length=1, max_length=254)]
Truth = Annotated[bool, BeforeValidator(_truth, json_schema_input_type=bool | Literal["true", "false", "True", "False"])]


class ScimInput(Input):
    """A part of a request. Unknown attributes are ignored."""

    model_config = _CAMEL | ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _match_names(cls, data: Any) -> Any:
        """Give attributes their usual spelling, and drop those that are null: SCIM does not distinguish null from absent."""
        if not isinstance(data, Mapping):
            return data
        aliases = {str(field.alias).lower(): str(field.alias) for field in cls.model_fields.values()}
        return {aliases[name.lower()]: value for name, value in data.items() if name.lower() in aliases and value is not None}


class ScimNameIn(ScimInput):
    """The parts of a user's name."""

    formatted: Name = None
    given_name: Name = None
    family_name: Name = None


class ScimEmailIn(ScimInput):
    """An address of a user."""

    value: Email
    type: Annotated[str, Field(max_length=MAX_NAME)] | None = None
    primary: Truth = False


class ScimUserIn(ScimInput):
    """POST and PUT /scim/v2/Users. The account's address is the primary one of `emails`, else that of type "work", else the first.

    Without `emails`, `userName` must be an address. Without `active`, PUT leaves the account as it is.
    """

    user_name: Annotated[str, Field(min_length=1, max_length=254)]
    external_id: ExternalId | None = None
    display_name: Name = None
    name: ScimNameIn = ScimNameIn()
    emails: Annotated[list[ScimEmailIn], Field(max_length=100, default_factory=list)]
    active: Truth | None = None


class ScimMemberIn(ScimInput):
    """A member of a group: `value` is the user's id."""

    value: Annotated[str, Field(max_length=64)]


class ScimGroupIn(ScimInput):
    """POST and PUT /scim/v2/Groups."""

    display_name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    external_id: ExternalId | None = None
    members: Annotated[list[ScimMemberIn], Field(default_factory=list)]


class ScimOperation(ScimInput):
    """An operation of PATCH. `op` is "add", "replace" or "remove", regardless of case."""

    op: Annotated[Literal["add", "replace", "remove"], BeforeValidator(lambda op: op.lower() if isinstance(op, str) else op)]
    path: Annotated[str, Field(max_length=2048)] | None = None
    value: Any = None


class ScimPatch(ScimInput):
    """PATCH /scim/v2/Users/{id} and /scim/v2/Groups/{id}."""

    operations: Annotated[list[ScimOperation], Field(alias="Operations", min_length=1, max_length=MAX_OPERATIONS)]


def validate[T: ScimInput](model: type[T], document: Mapping[str, Any]) -> T:
    """Return the attributes of a resource as they are after a PATCH. Raises ScimError if they are not valid together."""
    try:
        return model.model_validate(document)
    except ValidationError as exc:
        found = (f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors()[:3])
        raise ScimError("invalidValue", "; ".join(found)) from exc


class ScimOutput(BaseModel):
    """A part of a response."""

    model_config = _CAMEL | ConfigDict(frozen=True)


class ScimMeta(ScimOutput):
    """When a resource was created and changed, and its address."""

    resource_type: str
    created: Timestamp
    last_modified: Timestamp
    location: str


class ScimNameOut(ScimOutput):
    """The parts of a user's name."""

    formatted: str | None = None
    given_name: str | None = None
    family_name: str | None = None


class ScimEmailOut(ScimOutput):
    """The address of a user."""

    value: str
    type: Literal["work"] = "work"
    primary: Literal[True] = True


class ScimResourceOut(ScimOutput):
    """A resource. Attributes that are null or that the client excludes are left out."""

    schemas: list[str]
    id: str
    external_id: str | None = None
    meta: ScimMeta | None = None

    def chosen(self, attributes: str | None, excluded: str | None) -> dict[str, Any]:
        """Render the resource with the attributes that the client wants, separated by commas (RFC 7644, 3.9)."""
        document = self.model_dump(by_alias=True, exclude_none=True, mode="json")
        wanted, unwanted = _names(attributes), _names(excluded)
        return {name: value for name, value in document.items() if name in ("schemas", "id") or _is_chosen(name, wanted, unwanted)}


class ScimUserOut(ScimResourceOut):
    """An account."""

    user_name: str | None = None
    display_name: str | None = None
    name: ScimNameOut | None = None
    emails: list[ScimEmailOut] | None = None
    active: bool | None = None

    @classmethod
    def of(cls, user: ScimUser, base_url: str) -> Self:
        """Render an account."""
        parts = " ".join(part for part in (user.given_name, user.family_name) if part)
        name = ScimNameOut(formatted=parts, given_name=user.given_name, family_name=user.family_name) if parts else None
        return cls(
            schemas=[USER_SCHEMA],
            id=str(user.id),
            external_id=user.external_id,
            meta=_meta("User", user, base_url),
            user_name=user.user_name,
            display_name=user.display_name,
            name=name,
            emails=[ScimEmailOut(value=user.email)],
            active=user.is_active,
        )


class ScimMemberOut(ScimOutput):
    """A member of a group."""

    value: str
    display: str
    ref: Annotated[str, Field(alias="$ref")]

    @classmethod
    def of(cls, member: ScimMember, base_url: str) -> Self:
        """Render a member."""
        return cls(value=str(member.id), display=member.name, ref=f"{base_url}/scim/v2/Users/{member.id}")


class ScimGroupOut(ScimResourceOut):
    """A group that the identity provider manages."""

    display_name: str | None = None
    members: list[ScimMemberOut] | None = None

    @classmethod
    def of(cls, group: ScimGroup, members: list[ScimMember] | None, base_url: str) -> Self:
        """Render a group with its members, or without the attribute if they are None."""
        return cls(
            schemas=[GROUP_SCHEMA],
            id=str(group.id),
            external_id=group.external_id,
            meta=_meta("Group", group, base_url),
            display_name=group.name,
            members=None if members is None else [ScimMemberOut.of(member, base_url) for member in members],
        )


class ScimListOut(ScimOutput):
    """A page of a list (RFC 7644, 3.4.2)."""

    schemas: list[str] = [LIST_SCHEMA]
    total_results: int
    start_index: int
    items_per_page: int
    resources: Annotated[list[dict[str, Any]], Field(alias="Resources")]


class ScimErrorOut(ScimOutput):
    """An error (RFC 7644, 3.12)."""

    schemas: list[str] = [ERROR_SCHEMA]
    status: str
    detail: str
    scim_type: str | None = None


def wants(name: str, attributes: str | None, excluded: str | None) -> bool:
    """Return whether a client wants an attribute, as in `ScimResourceOut.chosen`."""
    return _is_chosen(name, _names(attributes), _names(excluded))


def _is_chosen(name: str, wanted: set[str], unwanted: set[str]) -> bool:
    return (not wanted or name.lower() in wanted) and name.lower() not in unwanted


def _meta(kind: Literal["User", "Group"], resource: ScimUser | ScimGroup, base_url: str) -> ScimMeta:
    location = f"{base_url}/scim/v2/{kind}s/{resource.id}"
    return ScimMeta(resource_type=kind, created=resource.created_at, last_modified=resource.updated_at, location=location)


def _names(text: str | None) -> set[str]:
    """Return the attributes of a list, in lower case and without their parts."""
    names = (name.strip().rpartition(":")[2].partition(".")[0].lower() for name in (text or "").split(","))
    return {name for name in names if name}


class CreatedScimTokenOut(Output):
    """A new token, and the address of the SCIM routes: the two values that an identity provider asks for."""

    token: str
    base_url: str


class ScimTokenOut(Output):
    """A valid token, without its secret. `expires_at` is null for the current one."""

    id: UUID
    created_at: Timestamp
    expires_at: Timestamp | None
    last_used_at: Timestamp | None


class ScimTokensOut(Output):
    """GET /admin/scim-token: the address of the SCIM routes, and the valid tokens, newest first."""

    base_url: str
    tokens: list[ScimTokenOut]
