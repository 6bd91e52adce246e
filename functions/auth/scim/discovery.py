"""Documents that describe the SCIM routes: the configuration, resource types and schemas of RFC 7643, sections 5 to 7."""

from typing import Any

from functions.auth.scim.errors import UnknownResource
from functions.auth.scim.schemas import GROUP_SCHEMA, LIST_SCHEMA, MAX_PAGE, USER_SCHEMA

type Document = dict[str, Any]

_CONFIG_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
_TYPE_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
_SCHEMA_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Schema"


def config(base_url: str) -> Document:
    """Return what is supported."""
    return {
        "schemas": [_CONFIG_SCHEMA],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": MAX_PAGE},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": False},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "The SCIM token of this deployment, made by an admin",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            }
        ],
        "meta": _meta("ServiceProviderConfig", f"{base_url}/scim/v2/ServiceProviderConfig"),
    }


def resource_types(base_url: str) -> list[Document]:
    """Return the types of resources: users and groups."""
    return [
        {
            "schemas": [_TYPE_SCHEMA],
            "id": name,
            "name": name,
            "endpoint": f"/{name}s",
            "description": description,
            "schema": schema,
            "meta": _meta("ResourceType", f"{base_url}/scim/v2/ResourceTypes/{name}"),
        }
        for name, description, schema in (("User", "Account", USER_SCHEMA), ("Group", "Group of accounts", GROUP_SCHEMA))
    ]


def schemas(base_url: str) -> list[Document]:
    """Return the schemas of users and groups, with the attributes that Parley stores."""
    return [
        {
            "schemas": [_SCHEMA_SCHEMA],
            "id": schema,
            "name": name,
            "description": description,
            "attributes": attributes,
            "meta": _meta("Schema", f"{base_url}/scim/v2/Schemas/{schema}"),
        }
        for schema, name, description, attributes in (
            (USER_SCHEMA, "User", "Account", _USER_ATTRIBUTES),
            (GROUP_SCHEMA, "Group", "Group of accounts", _GROUP_ATTRIBUTES),
        )
    ]


def listed(documents: list[Document]) -> Document:
    """Return all documents as one page of a list."""
    return {
        "schemas": [LIST_SCHEMA],
        "totalResults": len(documents),
        "startIndex": 1,
        "itemsPerPage": len(documents),
        "Resources": documents,
    }


def find(documents: list[Document], id: str, *, kind: str) -> Document:
    """Return the document with this id, or raise UnknownResource, which says that there is no such `kind`."""
    found = next((document for document in documents if document["id"] == id), None)
    if found is None:
        raise UnknownResource(kind)
    return found


def _meta(kind: str, location: str) -> Document:
    return {"resourceType": kind, "location": location}


def _attribute(name: str, description: str, **options: Any) -> Document:
    """Return the description of an attribute: by default an optional text that is written and read and need not be unique."""
    return {
        "name": name,
        "type": "string",
        "multiValued": False,
        "description": description,
        "required": False,
        "caseExact": False,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": "none",
    } | options


def _complex(name: str, description: str, *parts: Document, **options: Any) -> Document:
    return _attribute(name, description, type="complex", subAttributes=list(parts)) | options


_USER_ATTRIBUTES = [
    _attribute("userName", "Name of the user at the identity provider", required=True, uniqueness="server"),
    _attribute("displayName", "Name that is shown"),
    _complex(
        "name",
        "Parts of the user's name",
        _attribute("formatted", "Whole name", mutability="readOnly"),
        _attribute("givenName", "Given name"),
        _attribute("familyName", "Family name"),
    ),
    _complex(
        "emails",
        "The account's address: the primary one of several. Not required if userName is an address",
        _attribute("value", "Address", required=True, uniqueness="server"),
        _attribute("type", "Always work", canonicalValues=["work"]),
        _attribute("primary", "Always true", type="boolean"),
        multiValued=True,
    ),
    _attribute("active", "Whether the account is enabled", type="boolean"),
]
_GROUP_ATTRIBUTES = [
    _attribute("displayName", "Name of the group", required=True),
    _complex(
        "members",
        "Members of the group",
        _attribute("value", "Id of the user", mutability="immutable", caseExact=True),
        _attribute("$ref", "Address of the user", type="reference", referenceTypes=["User"], mutability="immutable"),
        _attribute("display", "Name of the user", mutability="readOnly"),
        multiValued=True,
    ),
]
